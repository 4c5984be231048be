package install

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/runcvm/runcvm/internal/treeswap"
)

// cacheUsers is the file of a suite's cache folder that lists the prefixes of
// the installations made from it, a line each. The last of them to go removes
// the packages.
const cacheUsers = "installations"

// joinCache notes that the installation in prefix uses the packages in dir. The
// caller has locked dir.
func joinCache(dir, prefix string) error {
	users, err := readCacheUsers(dir)
	if err != nil || slices.Contains(users, prefix) {
		return err
	}
	return writeCacheUsers(dir, append(users, prefix))
}

// leaveCache takes the installation in prefix off the list of each suite's
// folder. Where it was the last one and keep is false, the packages go too: what
// others have put into the cache stays, and so does a folder that this
// installation never used.
func leaveCache(ctx context.Context, p *printer, cache, prefix string, keep bool) error {
	for _, suite := range Suites() {
		if err := leaveSuite(ctx, p, filepath.Join(cache, suite), prefix, keep); err != nil {
			return err
		}
	}
	_ = os.Remove(cache) // fails when others have put something into it
	return nil
}

func leaveSuite(ctx context.Context, p *printer, dir, prefix string, keep bool) error {
	unlock, err := lock(ctx, p, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	users, err := readCacheUsers(dir)
	if err != nil || !slices.Contains(users, prefix) {
		return err
	}
	others := slices.DeleteFunc(users, func(user string) bool {
		_, err := os.Stat(filepath.Join(user, recordName))
		return user == prefix || err != nil // gone without an uninstallation
	})
	if keep || len(others) > 0 {
		if len(others) > 0 && !keep {
			p.printf("The packages in %s stay, for the installation in %s", dir, strings.Join(others, ", "))
		}
		return writeCacheUsers(dir, others)
	}
	for _, name := range []string{cacheApt, cacheTree, cacheKernel, cacheRecord, cacheUsers} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if err := treeswap.Sweep(dir); err != nil {
		return err
	}
	p.printf("Removed the packages in %s", dir)
	_ = os.Remove(dir) // fails when others have put something into it
	return nil
}

func readCacheUsers(dir string) ([]string, error) {
	data, err := readOptional(filepath.Join(dir, cacheUsers))
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' }), err
}

func writeCacheUsers(dir string, users []string) error {
	name := filepath.Join(dir, cacheUsers)
	if len(users) == 0 {
		err := os.Remove(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return renameio.WriteFile(name, []byte(strings.Join(users, "\n")+"\n"), 0o644)
}
