package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/runcvm/runcvm/internal/treeswap"
)

// cacheFormat changes when the unpacked trees are made differently.
const cacheFormat = 2

// Names below a suite's cache folder.
const (
	cacheApt    = "apt"    // the private instance, with the packages
	cacheTree   = "tree"   // the unpacked packages but the kernel
	cacheKernel = "kernel" // the unpacked kernel
	cacheRecord = "packages.json"
)

// packageSet is what a cache folder holds. It is written last: a folder with it
// is complete.
type packageSet struct {
	Format  int       `json:"format"`
	Suite   string    `json:"suite"`
	Wanted  []string  `json:"wanted"`
	Files   []debFile `json:"files"` // sorted by name
	Kernel  debFile   `json:"kernel"`
	Fetched time.Time `json:"fetched"`
}

// versions maps each package to its version.
func (p packageSet) versions() map[string]string {
	v := map[string]string{p.Kernel.Name: p.Kernel.Version}
	for _, f := range p.Files {
		v[f.Name] = f.Version
	}
	return v
}

// fetcher fills <cache>/<suite> and says what it does.
type fetcher struct {
	dir      string
	suite    suite
	progress *printer
}

// fetch returns the packages that are unpacked in the cache. It uses the
// network only when the cache is incomplete, or when refresh asks for newer
// versions.
func (f *fetcher) fetch(ctx context.Context, refresh bool) (packageSet, error) {
	have, err := f.cached()
	if err == nil && !refresh {
		f.progress.printf("Using %d packages of %s, fetched on %s", len(have.Files)+1, f.suite.name, have.Fetched.Local().Format(time.DateOnly))
		return have, nil
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return packageSet{}, err
	}
	if err := treeswap.Sweep(f.dir); err != nil {
		return packageSet{}, err
	}
	f.progress.printf("Reading the package lists of %s", f.suite.name)
	a, set, err := f.resolve(ctx)
	if err != nil {
		return packageSet{}, err
	}
	if reflect.DeepEqual(set.Files, have.Files) && set.Kernel == have.Kernel && have.Format == set.Format {
		f.progress.printf("The %d packages in the cache are the newest", len(set.Files)+1)
		return have, nil
	}
	all := append(set.Files[:len(set.Files):len(set.Files)], set.Kernel)
	f.progress.printf("Fetching %d packages of %s (%d MB), with the kernel %s", len(all), f.suite.name, megabytes(all), set.Kernel.Version)
	if err := a.download(ctx, all); err != nil {
		return packageSet{}, err
	}
	f.progress.printf("Unpacking")
	if err := f.unpack(ctx, a, set); err != nil {
		return packageSet{}, err
	}
	data, err := json.MarshalIndent(set, "", "  ")
	if err != nil {
		return packageSet{}, err
	}
	return set, renameio.WriteFile(filepath.Join(f.dir, cacheRecord), append(data, '\n'), 0o644)
}

func megabytes(files []debFile) int64 {
	var sum int64
	for _, f := range files {
		sum += f.Size
	}
	return sum / 1e6
}

// cached reads the record of a complete cache.
func (f *fetcher) cached() (packageSet, error) {
	var set packageSet
	data, err := os.ReadFile(filepath.Join(f.dir, cacheRecord))
	if err != nil {
		return packageSet{}, err
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return packageSet{}, err
	}
	if set.Format != cacheFormat || set.Suite != f.suite.name || !reflect.DeepEqual(set.Wanted, f.wanted()) {
		return packageSet{}, errors.New("the cache was made for another version of runcvm")
	}
	for _, dir := range []string{cacheTree, cacheKernel} {
		if _, err := os.Stat(filepath.Join(f.dir, dir)); err != nil {
			return packageSet{}, err
		}
	}
	return set, nil
}

func (f *fetcher) wanted() []string {
	return append(f.suite.packages[:len(f.suite.packages):len(f.suite.packages)], f.suite.kernel)
}

func (f *fetcher) resolve(ctx context.Context) (*apt, packageSet, error) {
	a, err := newApt(ctx, filepath.Join(f.dir, cacheApt), f.suite.name)
	if err != nil {
		return nil, packageSet{}, err
	}
	if err := a.update(ctx); err != nil {
		return nil, packageSet{}, fmt.Errorf("the package lists of %s could not be fetched: %w", f.suite.name, err)
	}
	set := packageSet{Format: cacheFormat, Suite: f.suite.name, Wanted: f.wanted(), Fetched: time.Now().UTC().Truncate(time.Second)}
	if set.Files, err = a.resolve(ctx, f.suite.packages); err != nil {
		return nil, packageSet{}, err
	}
	name, version, err := a.kernel(ctx, f.suite.kernel)
	if err != nil {
		return nil, packageSet{}, err
	}
	set.Kernel, err = a.file(ctx, name, version)
	return a, set, err
}

// unpack fills the two trees and swaps them in.
func (f *fetcher) unpack(ctx context.Context, a *apt, set packageSet) error {
	// Until the record is written again, the cache is incomplete.
	if err := os.RemoveAll(filepath.Join(f.dir, cacheRecord)); err != nil {
		return err
	}
	if err := f.unpackInto(ctx, a, cacheTree, set.Files); err != nil {
		return err
	}
	return f.unpackInto(ctx, a, cacheKernel, []debFile{set.Kernel})
}

func (f *fetcher) unpackInto(ctx context.Context, a *apt, name string, files []debFile) error {
	target := filepath.Join(f.dir, name)
	dir, err := treeswap.New(target)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	u, err := newUnpacker(dir)
	if err != nil {
		return err
	}
	defer u.Close()
	if err := unpackAll(ctx, u, a, files); err != nil {
		return err
	}
	return treeswap.Replace(dir, target)
}

// unpackAll unpacks two packages at a time: dpkg-deb decompresses on one core.
func unpackAll(ctx context.Context, u *unpacker, a *apt, files []debFile) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		failed error
		queue  = make(chan debFile)
	)
	for range 2 {
		wg.Go(func() {
			for file := range queue {
				if err := u.deb(ctx, a.archive(file)); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
					cancel()
				}
			}
		})
	}
	for _, file := range files {
		if ctx.Err() != nil {
			break
		}
		queue <- file
	}
	close(queue)
	wg.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	return failed
}
