package rootfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// options are the options of one mount, sorted by who acts on them.
type options struct {
	flags       uintptr   // MS_* of mount(2) for this mount alone
	propagation []uintptr // MS_SHARED and its like, each a call of its own
	// setAttr and clearAttr are MOUNT_ATTR_* of mount_setattr(2), for the
	// mount and everything below it ("rro").
	setAttr, clearAttr uint64
	copyUp             bool   // tmpfs: begin with what the directory had
	data               string // the file system's own options
}

// flagOption is an option that stands for MS_* flags.
type flagOption struct {
	clear bool
	flag  uintptr
}

// The names are those of mount(8) that the OCI runtime specification lists.
var flagOptions = map[string]flagOption{
	"async":         {true, unix.MS_SYNCHRONOUS},
	"atime":         {true, unix.MS_NOATIME},
	"bind":          {false, unix.MS_BIND},
	"defaults":      {false, 0},
	"dev":           {true, unix.MS_NODEV},
	"diratime":      {true, unix.MS_NODIRATIME},
	"dirsync":       {false, unix.MS_DIRSYNC},
	"exec":          {true, unix.MS_NOEXEC},
	"iversion":      {false, unix.MS_I_VERSION},
	"lazytime":      {false, unix.MS_LAZYTIME},
	"loud":          {true, unix.MS_SILENT},
	"mand":          {false, unix.MS_MANDLOCK},
	"noatime":       {false, unix.MS_NOATIME},
	"nodev":         {false, unix.MS_NODEV},
	"nodiratime":    {false, unix.MS_NODIRATIME},
	"noexec":        {false, unix.MS_NOEXEC},
	"noiversion":    {true, unix.MS_I_VERSION},
	"nolazytime":    {true, unix.MS_LAZYTIME},
	"nomand":        {true, unix.MS_MANDLOCK},
	"norelatime":    {true, unix.MS_RELATIME},
	"nostrictatime": {true, unix.MS_STRICTATIME},
	"nosuid":        {false, unix.MS_NOSUID},
	"nosymfollow":   {false, unix.MS_NOSYMFOLLOW},
	"rbind":         {false, unix.MS_BIND | unix.MS_REC},
	"relatime":      {false, unix.MS_RELATIME},
	"remount":       {false, unix.MS_REMOUNT},
	"ro":            {false, unix.MS_RDONLY},
	"rw":            {true, unix.MS_RDONLY},
	"silent":        {false, unix.MS_SILENT},
	"strictatime":   {false, unix.MS_STRICTATIME},
	"suid":          {true, unix.MS_NOSUID},
	"symfollow":     {true, unix.MS_NOSYMFOLLOW},
	"sync":          {false, unix.MS_SYNCHRONOUS},
}

var propagationOptions = map[string]uintptr{
	"private":     unix.MS_PRIVATE,
	"shared":      unix.MS_SHARED,
	"slave":       unix.MS_SLAVE,
	"unbindable":  unix.MS_UNBINDABLE,
	"rprivate":    unix.MS_PRIVATE | unix.MS_REC,
	"rshared":     unix.MS_SHARED | unix.MS_REC,
	"rslave":      unix.MS_SLAVE | unix.MS_REC,
	"runbindable": unix.MS_UNBINDABLE | unix.MS_REC,
}

// attrOption is an option that holds for a whole tree of mounts.
type attrOption struct {
	clear bool
	attr  uint64
}

var attrOptions = map[string]attrOption{
	"rro":          {false, unix.MOUNT_ATTR_RDONLY},
	"rrw":          {true, unix.MOUNT_ATTR_RDONLY},
	"rnosuid":      {false, unix.MOUNT_ATTR_NOSUID},
	"rsuid":        {true, unix.MOUNT_ATTR_NOSUID},
	"rnodev":       {false, unix.MOUNT_ATTR_NODEV},
	"rdev":         {true, unix.MOUNT_ATTR_NODEV},
	"rnoexec":      {false, unix.MOUNT_ATTR_NOEXEC},
	"rexec":        {true, unix.MOUNT_ATTR_NOEXEC},
	"rnodiratime":  {false, unix.MOUNT_ATTR_NODIRATIME},
	"rdiratime":    {true, unix.MOUNT_ATTR_NODIRATIME},
	"rrelatime":    {false, unix.MOUNT_ATTR_RELATIME},
	"rnorelatime":  {true, unix.MOUNT_ATTR_RELATIME},
	"rnoatime":     {false, unix.MOUNT_ATTR_NOATIME},
	"ratime":       {true, unix.MOUNT_ATTR_NOATIME},
	"rstrictatime": {false, unix.MOUNT_ATTR_STRICTATIME},
	"rnosymfollow": {false, unix.MOUNT_ATTR_NOSYMFOLLOW},
	"rsymfollow":   {true, unix.MOUNT_ATTR_NOSYMFOLLOW},
}

// parseOptions sorts the options of a mount. What is not known goes to the
// file system, which refuses what it does not know either.
func parseOptions(list []string) options {
	var o options
	var data []string
	for _, name := range list {
		if f, ok := flagOptions[name]; ok {
			if f.clear {
				o.flags &^= f.flag
			} else {
				o.flags |= f.flag
			}
			continue
		}
		if p, ok := propagationOptions[name]; ok {
			o.propagation = append(o.propagation, p)
			continue
		}
		if a, ok := attrOptions[name]; ok {
			o.addAttr(a)
			continue
		}
		if name == "tmpcopyup" {
			o.copyUp = true
			continue
		}
		if name != "" {
			data = append(data, name)
		}
	}
	o.data = strings.Join(data, ",")
	return o
}

func (o *options) addAttr(a attrOption) {
	if a.clear {
		o.clearAttr |= a.attr
	} else {
		o.setAttr |= a.attr
	}
	// The access time settings are one field of several bits, which
	// mount_setattr(2) wants cleared as a whole before it is set.
	const atime = unix.MOUNT_ATTR__ATIME
	if (a.attr&atime) != 0 || a.attr == unix.MOUNT_ATTR_RELATIME {
		o.clearAttr |= atime
	}
}
