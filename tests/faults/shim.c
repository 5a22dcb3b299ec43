/* A disk that fails when told to: loaded before libc (LD_PRELOAD), it counts what a process does to the files
 * below FAULT_UNDER and lets the N-th such call fail.
 *
 * FAULT_CONTROL is a file of four 32-bit numbers, shared with whoever commands:
 *   left    calls until one fails; 0: none will        error   errno of the failure
 *   sticky  nonzero: all later calls fail too          done    calls counted so far
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct control { int left, error, sticky, done; };
static struct control *control;
static char under[PATH_MAX];

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("FAULT_CONTROL"), *folder = getenv("FAULT_UNDER");
    if (!file || !folder) return;
    int fd = ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open"))(file, O_RDWR);
    if (fd < 0) return;
    void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED) return;
    snprintf(under, sizeof under, "%s/", folder);
    control = shared;
}

/* 1 if this call is to fail; errno is set. */
static int fails(const char *path)
{
    if (!control || !path || strncmp(path, under, strlen(under))) return 0;
    if (strstr(path, "serve.log")) return 0;  /* the server's own words go elsewhere in earnest */
    __atomic_add_fetch(&control->done, 1, __ATOMIC_SEQ_CST);
    int left = __atomic_load_n(&control->left, __ATOMIC_SEQ_CST);
    if (left <= 0) return 0;
    if (left > 1) { __atomic_sub_fetch(&control->left, 1, __ATOMIC_SEQ_CST); return 0; }
    if (!control->sticky) __atomic_store_n(&control->left, 0, __ATOMIC_SEQ_CST);
    errno = control->error;
    return 1;
}

static int fails_fd(int fd)
{
    char link[64], path[PATH_MAX];
    if (!control) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return fails(path);
}

#define REAL(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

#define ON_FD(type, name, told, given, ...)                     \
    type name told                                              \
    {                                                           \
        static type (*real)(__VA_ARGS__);                       \
        if (!real) real = REAL(type, #name, __VA_ARGS__);       \
        if (fails_fd(fd)) return -1;                            \
        return real given;                                      \
    }

ON_FD(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n), int, const void *, size_t)
ON_FD(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o), int, const void *, size_t, off_t)
ON_FD(ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o), int, const void *, size_t, off64_t)
ON_FD(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), int, const struct iovec *, int)
ON_FD(int, fsync, (int fd), (fd), int)
ON_FD(int, fdatasync, (int fd), (fd), int)
ON_FD(int, ftruncate, (int fd, off_t n), (fd, n), int, off_t)
ON_FD(int, ftruncate64, (int fd, off64_t n), (fd, n), int, off64_t)

#define ON_OPEN(name)                                                           \
    int name(const char *path, int flags, ...)                                  \
    {                                                                           \
        static int (*real)(const char *, int, ...);                             \
        va_list rest; mode_t mode = 0;                                          \
        if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \
        if (flags & (O_CREAT | O_TMPFILE)) {                                    \
            va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest);   \
        }                                                                       \
        if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && fails(path)) return -1;  \
        return real(path, flags, mode);                                         \
    }

ON_OPEN(open)
ON_OPEN(open64)

int rename(const char *from, const char *to)
{
    static int (*real)(const char *, const char *);
    if (!real) real = REAL(int, "rename", const char *, const char *);
    return fails(to) ? -1 : real(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    static int (*real)(const char *, mode_t);
    if (!real) real = REAL(int, "mkdir", const char *, mode_t);
    return fails(path) ? -1 : real(path, mode);
}
