"""The allow list of system calls, compiled and loaded by libseccomp.

What Python, DuckDB and Arrow need to compute over open files; none that starts a program or a process, opens
a socket, looks at or signals another process, changes an owner, a mode, a mount, a namespace or a key.  A
call that is not listed fails with EPERM; a call of another architecture ends the process.

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
_EQUAL, _MASKED_EQUAL = 4, 7
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


def load() -> None:
    """Put the filter in force for every thread of this process, for good.  ``OSError`` where it cannot."""
    library = _library()
    context = library.seccomp_init(_ERRNO | errno.EPERM)
    if not context:
        raise OSError(errno.ENOMEM, _LIBRARY)
    try:
        _checked(library.seccomp_attr_set(context, _THREADS, 1))
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
        _checked(library.seccomp_load(context))
    finally:
        library.seccomp_release(context)


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
