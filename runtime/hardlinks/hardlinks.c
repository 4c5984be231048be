// hardlinks.so is loaded into virtiofsd, by LD_PRELOAD, and makes it tell files
// apart that overlayfs tells apart.
//
// An image's root is an overlayfs. Names that are hard links of one file in a
// layer of the image are files of their own there: what is written to one of
// them, is copied to the upper layer and seen at that name alone (index=off, the
// way of container engines). Until then they have one st_ino, and st_ino is what
// virtiofsd knows a file by, together with st_dev and the number of the mount:
// it took such names for one file, wrote to the one that was looked up first,
// and, when the number of a name had changed with its copy, no longer knew the
// name, and answered EIO.
//
// Here the number of the mount becomes another one for each such name. Nobody but
// virtiofsd sees it; the guest has the st_ino of the host, as a container has.
//
// Each function stands in the place of glibc's, for the whole process.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

// Folders that are opened before virtiofsd leaves them for its sandbox: the
// process's descriptors, and the upper layer of the image's root, which is an empty
// folder where it is not known.
static int descriptors = -1, upper = -1;

static int open_folder(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "hardlinks.so: cannot open %s: %s\n", path, strerror(errno));
		_exit(1);
	}
	return fd;
}

__attribute__((constructor)) static void open_folders(void)
{
	descriptors = open_folder("/proc/self/fd");
	upper = open_folder("/upper");
}

// The inodes of the upper layer that the guest has made hard links of: a table
// with open addressing, of a power of two of slots, of which half are free. Zero is
// no inode's number.
static struct {
	pthread_mutex_t mutex;
	uint64_t *slots;
	size_t size, used;
} linked = {.mutex = PTHREAD_MUTEX_INITIALIZER};

// slot is where the inode is in a table, or would be put.
static uint64_t *slot(uint64_t *slots, size_t size, uint64_t inode)
{
	size_t i = inode * UINT64_C(0x9e3779b97f4a7c15) >> 32;
	while (slots[i & (size - 1)] != 0 && slots[i & (size - 1)] != inode)
		i++;
	return &slots[i & (size - 1)];
}

static bool is_linked(uint64_t inode)
{
	pthread_mutex_lock(&linked.mutex);
	bool found = linked.size > 0 && *slot(linked.slots, linked.size, inode) != 0;
	pthread_mutex_unlock(&linked.mutex);
	return found;
}

static bool grow(void)
{
	size_t size = linked.size > 0 ? 2 * linked.size : 64;
	uint64_t *slots = calloc(size, sizeof *slots);
	if (slots == NULL)
		return false;
	for (size_t i = 0; i < linked.size; i++)
		if (linked.slots[i] != 0)
			*slot(slots, size, linked.slots[i]) = linked.slots[i];
	free(linked.slots);
	linked.slots = slots;
	linked.size = size;
	return true;
}

// set_linked remembers an inode. Without memory for it, its names may be two files
// to the guest.
static void set_linked(uint64_t inode)
{
	pthread_mutex_lock(&linked.mutex);
	if (2 * linked.used < linked.size || grow()) {
		uint64_t *s = slot(linked.slots, linked.size, inode);
		if (*s == 0)
			linked.used++;
		*s = inode;
	}
	pthread_mutex_unlock(&linked.mutex);
}

static bool on_overlay(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC;
}

// real_syscall is glibc's syscall(2).
static long real_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	// Libraries' constructors may come here before ours would.
	static long (*next)(long, ...);
	long (*call)(long, ...) = __atomic_load_n(&next, __ATOMIC_RELAXED);
	if (call == NULL) {
		call = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
		__atomic_store_n(&next, call, __ATOMIC_RELAXED);
	}
	return call(number, a, b, c, d, e, f);
}

static int real_statx(int dir, const char *name, int flags, unsigned mask, struct statx *st)
{
	return (int)real_syscall(SYS_statx, dir, (long)name, flags, mask, (long)st, 0);
}

// path_of reads the path by which a descriptor was opened, in virtiofsd's sandbox.
static bool path_of(int fd, char path[PATH_MAX])
{
	char number[16];
	snprintf(number, sizeof number, "%d", fd);
	ssize_t n = readlinkat(descriptors, number, path, PATH_MAX - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return true;
}

// in_upper says whether a path is one of the image's root that its upper layer has.
static bool in_upper(const char *path)
{
	static const char root[] = "/rootfs/";
	struct statx st;
	if (strncmp(path, root, sizeof root - 1) != 0)
		return false;
	return real_statx(upper, path + sizeof root - 1, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) == 0;
}

// fnv1a is the hash function of that name.
static uint64_t fnv1a(const char *s)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (; *s != '\0'; s++)
		hash = (hash ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return hash;
}

// tell_apart gives a name of a layer's hard link a mount number of its own. Files
// of the upper layer, which overlayfs, too, has one inode of for all their names,
// are left as they are. Of another overlayfs than the image's root, a volume, those
// that virtiofsd has linked are known to be such.
static void tell_apart(int fd, struct statx *st)
{
	char path[PATH_MAX];
	if (S_ISDIR(st->stx_mode) || st->stx_nlink < 2 || !on_overlay(fd) || is_linked(st->stx_ino))
		return;
	if (!path_of(fd, path) || in_upper(path))
		return;
	st->stx_mnt_id ^= fnv1a(path);
	st->stx_mask |= STATX_MNT_ID;
}

EXPORTED int statx(int dir, const char *restrict name, int flags, unsigned mask, struct statx *restrict st)
{
	// The C virtiofsd asks for a name that it is going to remove or rename, and
	// answers EIO when it knows no such file. It does nothing else with the
	// answer: so it is told the folder, which it knows. What is wrong with the
	// name, the next call says.
	if (dir >= 0 && flags == AT_SYMLINK_NOFOLLOW && name[0] != '\0')
		return real_statx(dir, "", flags | AT_EMPTY_PATH, mask, st);
	int result = real_statx(dir, name, flags, mask, st);
	if (result == 0 && name[0] == '\0' && flags & AT_EMPTY_PATH)
		tell_apart(dir, st);
	return result;
}

// The Rust virtiofsd calls statx in this way. As glibc's, it reads six arguments,
// whatever the number.
EXPORTED long syscall(long number, ...)
{
	va_list list;
	va_start(list, number);
	long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
	long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
	va_end(list);
	if (number == SYS_statx)
		return statx((int)a, (const char *)b, (int)c, (unsigned)d, (struct statx *)e);
	return real_syscall(number, a, b, c, d, e, f);
}

EXPORTED int linkat(int old_dir, const char *old_name, int dir, const char *name, int flags)
{
	int result = (int)real_syscall(SYS_linkat, old_dir, (long)old_name, dir, (long)name, flags, 0);
	struct statx st;
	if (result == 0 && on_overlay(dir) && real_statx(dir, name, AT_SYMLINK_NOFOLLOW, STATX_INO, &st) == 0)
		set_linked(st.stx_ino);
	return result;
}
