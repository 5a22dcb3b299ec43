"""A malicious engine: what runs in place of the worker's main, and tries to get out.

Each probe is a function of the ``Target`` that returns whether it got out; an ``OSError`` on the way is a
refusal.  ``main`` runs one probe a frame and answers ``{"escaped": bool}``; a probe that kills the worker
did not get out, unless it is a bomb that went off (``run.py`` measures those from outside).
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.engine import child
from sandbox.engine.frames import Frame

LIBC = ctypes.CDLL(None, use_errno=True)
# Numbers of system calls, on x86-64 and on aarch64.
_X86 = os.uname().machine == "x86_64"
PROCESS_VM_READV, KEYCTL, BPF, PERF_EVENT_OPEN, USERFAULTFD, SHMGET, CLONE = (
    (310, 250, 321, 298, 323, 29, 56) if _X86 else (270, 219, 280, 241, 282, 194, 220)
)
IO_URING_SETUP, PIDFD_GETFD = 425, 438
BOMB = 100
"""Processes that a fork bomb must not reach, and megabytes beyond a limit that nothing must."""

Probe = Callable[["Target"], bool]
PROBES: dict[str, Probe] = {}


@dataclass(frozen=True)
class Target:
    """What lies outside, as the test laid it out."""

    files: dict[str, str]  # by what they are: files that hold a secret
    folder: str  # where the gateway could write
    scratch: str  # where this worker may write
    pid: int  # a process of the gateway's user
    tcp: int  # ports on which the gateway's host listens
    udp: int
    pathname: str  # a Unix socket
    abstract: str  # an abstract one, without its leading zero
    shared: int  # key of a System V segment
    quota_mb: int
    memory_mb: int


def probe(function: Probe) -> Probe:
    """Register a probe under its name."""
    PROBES[function.__name__] = function
    return function


def called(number: int, *arguments: Any) -> bool:
    """Whether a system call went through."""
    result: int = LIBC.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return True


def read(path: str) -> bool:
    with open(path, "rb") as stream:
        return bool(stream.read(1))


def written(path: str) -> bool:
    with open(path, "wb") as stream:
        stream.write(b"x")
    os.unlink(path)
    return True


def reads(kind: str) -> None:
    """A probe that reads one of the target's files."""
    PROBES[f"read_{kind}"] = lambda target: read(target.files[kind])


for kind in ("home", "policy", "store", "neighbour", "units"):
    reads(kind)


@probe
def read_shadow(target: Target) -> bool:
    return read("/etc/shadow")


@probe
def read_host_configuration(target: Target) -> bool:
    return read("/etc/hostname") or read("/etc/passwd")


@probe
def list_home(target: Target) -> bool:
    return bool(os.listdir(os.path.dirname(target.files["home"])))


@probe
def read_first_environment(target: Target) -> bool:
    with open("/proc/1/environ", "rb"):
        return True


@probe
def read_gateway_environment(target: Target) -> bool:
    return read(f"/proc/{target.pid}/environ")


@probe
def read_gateway_memory(target: Target) -> bool:
    with open(f"/proc/{target.pid}/maps", encoding="ascii") as maps:
        start = int(maps.readline().split("-")[0], 16)
    with open(f"/proc/{target.pid}/mem", "rb", buffering=0) as memory:
        memory.seek(start)
        return bool(memory.read(1))


@probe
def read_through_a_link(target: Target) -> bool:
    """A link in the scratch folder leads out."""
    link = Path(target.scratch) / "link"
    link.symlink_to(target.files["store"])
    return read(str(link))


@probe
def link_into_scratch(target: Target) -> bool:
    os.link(target.files["store"], f"{target.scratch}/hard")
    return True


@probe
def process_vm_read(target: Target) -> bool:
    buffer = ctypes.create_string_buffer(8)
    local = struct.pack("QQ", ctypes.addressof(buffer), 8)
    remote = struct.pack("QQ", ctypes.addressof(buffer), 8)
    try:
        return called(PROCESS_VM_READV, target.pid, local, 1, remote, 1, 0)
    except OSError as error:
        if error.errno == errno.EFAULT:  # allowed; nothing is mapped there
            return True
        raise


@probe
def write_home(target: Target) -> bool:
    return written(f"{target.folder}/planted")


@probe
def write_temporary(target: Target) -> bool:
    return written("/tmp/planted-by-a-worker")


@probe
def write_code(target: Target) -> bool:
    import sandbox

    return written(os.path.dirname(sandbox.__file__) + "/planted.py")


@probe
def overwrite_a_snapshot(target: Target) -> bool:
    with open(target.files["own"], "r+b") as stream:
        return stream.writable()


@probe
def truncate_the_store(target: Target) -> bool:
    os.truncate(target.files["doomed"], 0)
    return True


@probe
def change_a_mode(target: Target) -> bool:
    os.chmod(target.files["doomed"], 0o666)
    return True


@probe
def tcp_to_the_host(target: Target) -> bool:
    with socket.create_connection(("127.0.0.1", target.tcp), timeout=2):
        return True


@probe
def udp_to_the_host(target: Target) -> bool:
    """A name server is reached in no other way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(1)
        sender.sendto(b"ping", ("127.0.0.1", target.udp))
        return sender.recv(8) == b"pong"


@probe
def raw_socket(target: Target) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP):
        return True


@probe
def packet_socket(target: Target) -> bool:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0):
        return True


@probe
def network_interfaces(target: Target) -> bool:
    """Ask the kernel, over a netlink socket."""
    return len(socket.if_nameindex()) > 1


@probe
def pathname_socket(target: Target) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(target.pathname)
        return True


@probe
def abstract_socket(target: Target) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + target.abstract)
        return True


@probe
def signal_the_gateway(target: Target) -> bool:
    os.kill(target.pid, signal.SIGCONT)
    return True


@probe
def signal_everybody(target: Target) -> bool:
    """Signal 0 to every process there is: were there any beside this box's own?"""
    os.kill(target.pid, 0)
    return True


@probe
def signal_by_descriptor(target: Target) -> bool:
    descriptor = os.pidfd_open(target.pid)
    signal.pidfd_send_signal(descriptor, 0)
    return True


@probe
def trace_the_gateway(target: Target) -> bool:
    """PTRACE_SEIZE leaves the traced one running; it is let go at once."""
    if LIBC.ptrace(0x4206, target.pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "refused")
    return True


@probe
def take_the_gateways_descriptors(target: Target) -> bool:
    descriptor = os.pidfd_open(target.pid)
    return called(PIDFD_GETFD, descriptor, 0, 0)  # pidfd_getfd


@probe
def inherited_descriptors(target: Target) -> bool:
    """Anything open that is neither a pipe, nor a null device, nor code."""
    for number in range(3, 256):
        try:
            status = os.fstat(number)
        except OSError:
            continue
        if (status.st_mode & 0o170000) in {0o140000, 0o040000}:  # a socket, a folder
            return True
    return False


def in_a_child(action: Callable[[], object]) -> bool:
    """Do it in a forked process; whether it could be done."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


@probe
def run_a_program(target: Target) -> bool:
    return in_a_child(lambda: os.execv("/bin/true", ["true"]))


@probe
def replace_itself(target: Target) -> bool:
    """execve of nothing: that the file is not there is found out only where execve is allowed."""
    return LIBC.execv(b"/nonexistent", (ctypes.c_char_p * 2)(b"x", None)) < 0 and (
        ctypes.get_errno() == errno.ENOENT
    )


@probe
def fork_bomb(target: Target) -> bool:
    children: list[int] = []
    try:
        while len(children) < BOMB:
            pid = os.fork()
            if pid == 0:
                time.sleep(5)
                os._exit(0)
            children.append(pid)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return True


@probe
def become_root(target: Target) -> bool:
    os.setuid(0)
    return os.geteuid() == 0


@probe
def gain_capabilities(target: Target) -> bool:
    header, found = struct.pack("=Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    LIBC.capget(header, found)
    words = list(struct.unpack("=6I", found.raw))
    words[0], words[1] = words[0] | 1 << 21, words[1] | 1 << 21  # CAP_SYS_ADMIN
    if LIBC.capset(header, struct.pack("=6I", *words)) != 0:
        raise OSError(ctypes.get_errno(), "refused")
    return True


@probe
def mount_a_file_system(target: Target) -> bool:
    if LIBC.mount(b"none", target.scratch.encode(), b"tmpfs", 0, None) != 0:
        raise OSError(ctypes.get_errno(), "refused")
    LIBC.umount(target.scratch.encode())
    return True


@probe
def new_user_namespace(target: Target) -> bool:
    def enter() -> None:
        if LIBC.unshare(0x10000000) != 0:
            raise OSError(ctypes.get_errno(), "refused")

    return in_a_child(enter)


@probe
def new_name_space_by_clone(target: Target) -> bool:
    """clone(CLONE_NEWUSER | SIGCHLD): the filter sees its flags."""
    pid: int = LIBC.syscall(CLONE, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return os.waitpid(pid, 0)[1] == 0


@probe
def change_root(target: Target) -> bool:
    return in_a_child(lambda: os.chroot("/usr"))


@probe
def make_a_device(target: Target) -> bool:
    os.mknod(f"{target.scratch}/disk", 0o60600, os.makedev(8, 0))
    return True


@probe
def open_a_device(target: Target) -> bool:
    return any(
        os.path.exists(f"/dev/{name}") and read(f"/dev/{name}") for name in ("mem", "kmsg", "vda", "sda")
    )


@probe
def kernel_keyring(target: Target) -> bool:
    return called(KEYCTL, 0, -3, 1)  # keyctl(KEYCTL_GET_KEYRING_ID, session keyring, create)


@probe
def load_a_program_into_the_kernel(target: Target) -> bool:
    """bpf(BPF_MAP_CREATE) of a small array."""
    return called(BPF, 0, struct.pack("=4I", 2, 4, 4, 1), 16)


@probe
def performance_events(target: Target) -> bool:
    attributes = struct.pack("=II", 1, 112) + bytes(104)
    return called(PERF_EVENT_OPEN, attributes, 0, -1, -1, 0)


@probe
def user_faults(target: Target) -> bool:
    return called(USERFAULTFD, 1)  # userfaultfd(UFFD_USER_MODE_ONLY)


@probe
def io_uring(target: Target) -> bool:
    return called(IO_URING_SETUP, 1, bytes(120))


@probe
def anonymous_file(target: Target) -> bool:
    """Memory that no limit of files counts."""
    os.close(os.memfd_create("hidden"))
    return True


@probe
def terminal_injection(target: Target) -> bool:
    """TIOCSTI on whatever terminal there may be, and any other request to a device: refused as one."""
    if LIBC.ioctl(0, 0x5412, b"x") == 0:
        return True
    if ctypes.get_errno() == errno.ENOTTY and LIBC.ioctl(os.open("/dev/null", os.O_RDWR), 0x5451) == 0:
        return True  # FIOCLEX, which every file takes: requests do get through
    raise OSError(errno.ENOTTY, "refused")


@probe
def shared_memory(target: Target) -> bool:
    return called(SHMGET, target.shared, 0, 0)


@probe
def raise_its_limits(target: Target) -> bool:
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    return resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY


@probe
def memory(target: Target) -> bool:
    try:
        with mmap.mmap(-1, (target.memory_mb + BOMB) << 20):
            return True
    except OSError as error:
        raise OSError(error.errno, "refused") from None


@probe
def thread_bomb(target: Target) -> bool:
    """Two thousand threads."""
    end = threading.Event()
    try:
        for _ in range(2000):
            threading.Thread(target=end.wait, daemon=True).start()
    except (RuntimeError, MemoryError):
        return False
    finally:
        end.set()
    return True


@probe
def one_large_file(target: Target) -> bool:
    return _filled(target, lambda stream, _: stream, unlink=False)


@probe
def many_files(target: Target) -> bool:
    return _filled(target, lambda _, number: open(f"{target.scratch}/part-{number}", "wb", 0), unlink=False)


@probe
def many_removed_files(target: Target) -> bool:
    return _filled(target, lambda _, number: open(f"{target.scratch}/part-{number}", "wb", 0), unlink=True)


def _filled(target: Target, following: Callable[[Any, int], Any], *, unlink: bool) -> bool:
    """Write three times the quota, a megabyte at a time, slowly enough for who watches."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    stream = open(f"{target.scratch}/first", "wb", 0)  # noqa: SIM115 - what is kept open is the probe
    kept: list[Any] = []
    for number in range(3 * target.quota_mb):
        stream = following(stream, number)
        kept.append(stream)
        stream.write(bytes(1 << 20))
        if unlink:
            os.unlink(stream.name)
        time.sleep(0.01)
    return True


@probe
def nothing(target: Target) -> bool:
    """No escape: what every worker may do.  A box in which this fails shows nothing by refusing the rest."""
    with open("/dev/null", "wb") as sink:
        return sink.write(b"x") == 1 and len(os.path.realpath(".")) > 0


def main() -> None:
    """Run the probes that the gateway names, one a frame."""
    channel = child.connect()
    while True:
        try:
            asked = channel.receive(1 << 20).header
        except EOFError:
            return
        try:
            escaped = PROBES[asked["probe"]](Target(**asked["target"]))
        except OSError:
            escaped = False
        channel.send(Frame({"escaped": bool(escaped)}))
