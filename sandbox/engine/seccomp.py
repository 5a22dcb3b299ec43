"""The filters of system calls, compiled and loaded by libseccomp: one for queries, one for notebooks.

Queries have an allow list: what Python, DuckDB and Arrow need to compute over open files; none that starts a
program or a process, opens a socket, looks at or signals another process, changes an owner, a mode, a mount,
a namespace or a key.  A call that is not listed fails with EPERM; a call of another architecture ends the
process.

Notebooks start programs and talk through Unix sockets, so theirs is a list of what nobody needs there: other
families of sockets, other processes' memory, mounts, namespaces, keys, and the kernel's own machinery.

libseccomp is bound here directly: its Python packages are this same binding, and need the same library.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

_LIBRARY: Final = "libseccomp.so.2"
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_THREADS: Final = 4  # SCMP_FLTATR_CTL_TSYNC: all threads, not only the one that asks
_EQUAL, _AT_LEAST, _MASKED_EQUAL = 4, 5, 7
_FAMILIES: Final = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6: a box has no network but its own loopback
_LAST_FAMILY: Final = 64  # beyond all there are
_PUSH_INPUT: Final = 0x5412  # TIOCSTI: type for whoever sits at the terminal
_UNKNOWN: Final = -1  # __NR_SCMP_ERROR

CALLS: Final = tuple(
    """
    access arch_prctl brk clock_getres clock_gettime clock_nanosleep close copy_file_range dup dup2 dup3
    exit exit_group faccessat faccessat2 fadvise64 fallocate fcntl fdatasync flock fstat fstatfs fsync
    ftruncate futex getcpu getcwd getdents64 getegid geteuid getgid getpgrp getpid getppid getpriority
    getrandom getresgid getresuid getrlimit getrusage getsid gettid gettimeofday getuid lseek lstat
    madvise membarrier mkdir mkdirat mmap mprotect mremap msync munmap nanosleep newfstatat open
    openat pipe2 poll ppoll pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readlink readlinkat readv
    restart_syscall rmdir rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity
    sched_getparam sched_getscheduler sched_yield select pselect6 set_robust_list set_tid_address setrlimit
    sigaltstack stat statfs statx sysinfo time times umask uname unlink unlinkat write writev
""".split()  # noqa: SIM905 - a list of ninety words reads best as words
)
"""Allowed whatever their arguments."""

REFUSED: Final = tuple(
    """
    acct add_key adjtimex bpf chroot clock_adjtime clock_settime create_module delete_module fanotify_init
    finit_module fsconfig fsmount fsopen fspick get_kernel_syms init_module io_uring_enter io_uring_register
    io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages
    mount mount_setattr move_mount move_pages name_to_handle_at nfsservctl open_by_handle_at open_tree
    perf_event_open personality pidfd_getfd pivot_root process_madvise process_vm_readv process_vm_writev
    ptrace query_module quotactl quotactl_fd reboot request_key setdomainname sethostname setns settimeofday
    swapoff swapon sysfs syslog umount umount2 unshare uselib userfaultfd ustat vhangup vm86 vm86old
""".split()  # noqa: SIM905
)
"""Refused to notebooks, whatever their arguments."""

QUERIES: Final = "queries"
NOTEBOOKS: Final = "notebooks"

_CLONE_THREAD: Final = 0x00010000
_CLONE_NEW: Final = 0x7E020080  # every CLONE_NEW… flag
_NAMES_OF_SELF: Final = (15, 16)  # PR_SET_NAME, PR_GET_NAME
_DUMPABLE: Final = 3  # PR_GET_DUMPABLE


class _Compare(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


def loadable() -> bool:
    """Whether the library is there; whether the kernel takes a filter shows when one is loaded."""
    try:
        _library()
    except (OSError, AttributeError):
        return False
    return True


def load(name: str) -> None:
    """Put a filter in force for every thread of this process, for good.  ``OSError`` where it cannot."""
    library = _library()
    notebooks = name == NOTEBOOKS
    context = library.seccomp_init(_ALLOW if notebooks else _ERRNO | errno.EPERM)
    if not context:
        raise OSError(errno.ENOMEM, _LIBRARY)
    try:
        _checked(library.seccomp_attr_set(context, _THREADS, 1))
        (_notebooks if notebooks else _queries)(library, context)
        _checked(library.seccomp_load(context))
    finally:
        library.seccomp_release(context)


def _queries(library: ctypes.CDLL, context: int) -> None:
    for name in CALLS:
        _rule(library, context, _ALLOW, name)
    thread = _Compare(0, _MASKED_EQUAL, _CLONE_THREAD | _CLONE_NEW, _CLONE_THREAD)
    _rule(library, context, _ALLOW, "clone", thread)
    _rule(library, context, _ERRNO | errno.ENOSYS, "clone3")  # its flags are in memory; libc uses clone
    _rule(library, context, _ERRNO | errno.ENOTTY, "ioctl")
    _rule(library, context, _ALLOW, "tgkill", _Compare(0, _EQUAL, os.getpid(), 0))
    _rule(library, context, _ALLOW, "prlimit64", _Compare(0, _EQUAL, 0, 0))
    for option in (*_NAMES_OF_SELF, _DUMPABLE):
        _rule(library, context, _ALLOW, "prctl", _Compare(0, _EQUAL, option, 0))


def _notebooks(library: ctypes.CDLL, context: int) -> None:
    for name in REFUSED:
        _rule(library, context, _ERRNO | errno.EPERM, name)
    for bit in range(32):
        if flag := _CLONE_NEW & 1 << bit:
            _rule(library, context, _ERRNO | errno.EPERM, "clone", _Compare(0, _MASKED_EQUAL, flag, flag))
    _rule(library, context, _ERRNO | errno.ENOSYS, "clone3")
    _rule(library, context, _ERRNO | errno.EPERM, "ioctl", _Compare(1, _EQUAL, _PUSH_INPUT, 0))
    other = _ERRNO | errno.EOPNOTSUPP  # as where there is no netlink: libzmq goes on then
    for family in set(range(_LAST_FAMILY)).difference(_FAMILIES):
        _rule(library, context, other, "socket", _Compare(0, _EQUAL, family, 0))
    _rule(library, context, other, "socket", _Compare(0, _AT_LEAST, _LAST_FAMILY, 0))


def _rule(library: ctypes.CDLL, context: int, action: int, name: str, *compared: _Compare) -> None:
    """One rule; a call that this architecture does not have needs none."""
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number == _UNKNOWN:
        raise OSError(errno.EINVAL, name)
    if number < 0:
        return
    array = (_Compare * max(1, len(compared)))(*compared)
    _checked(library.seccomp_rule_add_array(context, action, number, len(compared), array))


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(_LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_void_p,
    )
    library.seccomp_load.argtypes = library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_release.restype = None
    return library


def _checked(result: int) -> None:
    if result < 0:
        raise OSError(-result, _LIBRARY)
