package dockerrun

import (
	"encoding/csv"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// defaultShm is the size of /dev/shm in bytes unless docker run says otherwise.
const defaultShm = 64 << 20

// kernelMounts are those that Docker gives every container.
func (b *builder) kernelMounts() []specs.Mount {
	shm := int64(defaultShm)
	if b.o.shmSize > 0 {
		shm = int64(b.o.shmSize)
	}
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro", "nosuid", "noexec", "nodev"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=" + strconv.FormatInt(shm, 10)}},
	}
}

// mounts lists Docker's own mounts, then those of the container, those of short
// paths first.
func (b *builder) mounts() error {
	long, err := b.longMounts()
	if err != nil {
		return err
	}
	isTmpfs := func(m specs.Mount) bool { return m.Type == "tmpfs" }
	isBind := func(m specs.Mount) bool { return m.Type != "tmpfs" }
	// The image's volumes give way to what was asked for there, and so do the
	// files of the engine's own.
	for _, read := range []func() ([]specs.Mount, error){
		b.volumes,
		func() ([]specs.Mount, error) { return slices.DeleteFunc(slices.Clone(long), isTmpfs), nil },
		b.tmpfs,
		func() ([]specs.Mount, error) { return slices.DeleteFunc(slices.Clone(long), isBind), nil },
		b.imageVolumes,
		b.engineFiles,
	} {
		more, err := read()
		if err != nil {
			return err
		}
		b.spec.Mounts = append(b.spec.Mounts, more...)
	}
	given := b.spec.Mounts
	slices.SortStableFunc(given, func(a, b specs.Mount) int {
		return strings.Count(path.Clean(a.Destination), "/") - strings.Count(path.Clean(b.Destination), "/")
	})
	kernel := slices.DeleteFunc(b.kernelMounts(), func(m specs.Mount) bool {
		return slices.ContainsFunc(given, func(g specs.Mount) bool { return g.Destination == m.Destination })
	})
	if b.o.privileged {
		for i := range kernel {
			kernel[i].Options = slices.DeleteFunc(kernel[i].Options, func(o string) bool { return o == "ro" })
			if strings.HasPrefix(kernel[i].Destination, "/sys") {
				kernel[i].Options = append(kernel[i].Options, "rw")
			}
		}
	}
	b.spec.Mounts = append(kernel, given...)
	return nil
}

// mounted says whether something was asked for at a path.
func (b *builder) mounted(destination string) bool {
	return slices.ContainsFunc(b.spec.Mounts, func(m specs.Mount) bool { return m.Destination == destination })
}

// engineFiles are those that Docker writes for each container.
func (b *builder) engineFiles() ([]specs.Mount, error) {
	var mounts []specs.Mount
	for _, name := range []string{"resolv.conf", "hostname", "hosts"} {
		if !b.mounted("/etc/" + name) {
			mounts = append(mounts, bind(filepath.Join(b.where.RootDir, "containers", b.where.ID, name), "/etc/"+name, false))
		}
	}
	return mounts, nil
}

func bind(source, destination string, readOnly bool) specs.Mount {
	m := specs.Mount{Destination: destination, Type: "bind", Source: source, Options: []string{"rbind"}}
	if readOnly {
		m.Options = append(m.Options, "ro")
	}
	m.Options = append(m.Options, "rprivate")
	return m
}

// volume mounts one of Docker's volumes. One without a name gets a random one.
func (b *builder) volume(name, destination string, readOnly bool) specs.Mount {
	if name == "" {
		name = "anonymous"
		b.note("The volume at %s gets a folder with a random name.", destination)
	}
	m := bind(filepath.Join(b.where.RootDir, "volumes", name, "_data"), destination, readOnly)
	m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "rprivate" })
	return m
}

// volumes reads --volume: SOURCE:DESTINATION[:OPTIONS], or DESTINATION alone.
func (b *builder) volumes() ([]specs.Mount, error) {
	var mounts []specs.Mount
	for _, text := range b.o.volumes {
		parts := strings.Split(text, ":")
		var source, destination, options string
		switch len(parts) {
		case 1:
			destination = parts[0]
		case 2:
			source, destination = parts[0], parts[1]
		case 3:
			source, destination, options = parts[0], parts[1], parts[2]
		}
		if !path.IsAbs(destination) {
			return nil, fmt.Errorf("docker run's flags: --volume %q: write SOURCE:DESTINATION[:OPTIONS], where the destination is an absolute path in the container", text)
		}
		if source != "" && !filepath.IsAbs(source) && strings.ContainsRune(source, filepath.Separator) || source == "." {
			absolute, err := filepath.Abs(source)
			if err != nil {
				return nil, err
			}
			source = absolute
		}
		readOnly := slices.Contains(strings.Split(options, ","), "ro")
		destination = path.Clean(destination)
		if filepath.IsAbs(source) {
			mounts = append(mounts, bind(source, destination, readOnly))
		} else {
			mounts = append(mounts, b.volume(source, destination, readOnly))
		}
	}
	return mounts, nil
}

// longMounts reads --mount: comma-separated settings.
func (b *builder) longMounts() ([]specs.Mount, error) {
	var mounts []specs.Mount
	for _, text := range b.o.mounts {
		fields, err := csv.NewReader(strings.NewReader(text)).Read()
		if err != nil {
			return nil, fmt.Errorf("docker run's flags: --mount %q: %w", text, err)
		}
		m, err := b.longMount(fields)
		if err != nil {
			return nil, fmt.Errorf("docker run's flags: --mount %q: %w", text, err)
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

func (b *builder) longMount(fields []string) (specs.Mount, error) {
	set := map[string]string{"type": "volume"}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		switch name {
		case "src":
			name = "source"
		case "dst", "target":
			name = "destination"
		case "ro":
			name = "readonly"
		}
		if !slices.Contains([]string{"type", "source", "destination", "readonly", "tmpfs-size", "tmpfs-mode"}, name) {
			return specs.Mount{}, fmt.Errorf("a plan can be made from type, source, destination, readonly, tmpfs-size and tmpfs-mode, not from %q", name)
		}
		set[name] = value
	}
	destination := set["destination"]
	if !path.IsAbs(destination) {
		return specs.Mount{}, fmt.Errorf("the destination %q is no absolute path in the container", destination)
	}
	readOnly, given := set["readonly"]
	ro := given && readOnly != "false" && readOnly != "0"
	switch set["type"] {
	case "bind":
		return bind(set["source"], path.Clean(destination), ro), nil
	case "volume":
		return b.volume(set["source"], path.Clean(destination), ro), nil
	case "tmpfs":
		var options []string
		if ro {
			options = append(options, "ro")
		}
		if mode := set["tmpfs-mode"]; mode != "" {
			options = append(options, "mode="+mode)
		}
		if text := set["tmpfs-size"]; text != "" {
			n, err := units.RAMInBytes(text)
			if err != nil {
				return specs.Mount{}, err
			}
			options = append(options, "size="+kernelSize(n))
		}
		return tmpfsMount(destination, options), nil
	}
	return specs.Mount{}, fmt.Errorf("a plan can be made from the types bind, volume and tmpfs, not from %q", set["type"])
}

// kernelSize writes a size with the largest unit that divides it.
func kernelSize(n int64) string {
	unit := ""
	for _, next := range []string{"k", "m", "g"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, next
	}
	return strconv.FormatInt(n, 10) + unit
}

// imageVolumes are those that the image asks for.
func (b *builder) imageVolumes() ([]specs.Mount, error) {
	var mounts []specs.Mount
	for _, destination := range slices.Sorted(maps.Keys(b.config.Volumes)) {
		if destination = path.Clean(destination); !b.mounted(destination) {
			mounts = append(mounts, b.volume("", destination, false))
		}
	}
	return mounts, nil
}

// tmpfs reads --tmpfs: DESTINATION[:OPTIONS].
func (b *builder) tmpfs() ([]specs.Mount, error) {
	var mounts []specs.Mount
	for _, text := range b.o.tmpfs {
		destination, options, _ := strings.Cut(text, ":")
		if !path.IsAbs(destination) {
			return nil, fmt.Errorf("docker run's flags: --tmpfs %q: write DESTINATION[:OPTIONS], where the destination is an absolute path in the container", text)
		}
		var list []string
		if options != "" {
			list = strings.Split(options, ",")
		}
		mounts = append(mounts, tmpfsMount(destination, list))
	}
	return mounts, nil
}

// opposites are options of which the later one wins.
var opposites = map[string]string{"exec": "noexec", "suid": "nosuid", "dev": "nodev"}

func tmpfsMount(destination string, options []string) specs.Mount {
	all := []string{"noexec", "nosuid", "nodev", "rprivate"}
	for _, o := range options {
		if no, ok := opposites[o]; ok {
			all = slices.DeleteFunc(all, func(have string) bool { return have == no })
		}
		if !slices.Contains(all, o) {
			all = append(all, o)
		}
	}
	return specs.Mount{Destination: path.Clean(destination), Type: "tmpfs", Source: "tmpfs", Options: all}
}
