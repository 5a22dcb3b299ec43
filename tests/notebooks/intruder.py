"""What a kernel tries in order to get out: sent as text into one, so standard library alone.

Each probe returns what it got hold of, or ``None``; what it raises is a refusal.  ``known`` is what a test tells it
about the world outside: paths, ports, processes.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import resource
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

Known = dict[str, Any]
Probe = Callable[[Known], object]
PROBES: list[Probe] = []
libc = ctypes.CDLL(None, use_errno=True)


def probe(found: Probe) -> Probe:
    """Have this tried."""
    PROBES.append(found)
    return found


def call(number: int, *given: object) -> object:
    """A system call by its number: what it returned, if it was let through."""
    result = libc.syscall(ctypes.c_long(number), *given)
    told = ctypes.get_errno()
    if result == -1 and told in (errno.EPERM, errno.ENOSYS, errno.EACCES):
        return None
    return (result, told)


@probe
def outside_files_are_read(known: Known) -> object:
    for path in known["files"]:
        try:
            return path, Path(path).read_bytes()[:10]
        except OSError:
            continue
    return None


@probe
def outside_folders_are_listed(known: Known) -> object:
    for path in known["folders"]:
        try:
            return path, os.listdir(path)
        except OSError:
            continue
    return None


@probe
def anything_of_the_home_is_found_by_its_name(known: Known) -> object:
    wanted = set(known["names"])
    for above, folders, files in os.walk("/"):
        folders[:] = [
            f for f in folders if os.path.join(above, f) not in ("/proc", "/usr/lib", *known["code"])
        ]
        if met := wanted.intersection(folders, files):
            return above, sorted(met)
    return None


@probe
def folders_of_code_are_written(known: Known) -> object:
    for folder in (*sys.path, "/usr/lib", "/lib", "/etc", "/", "/run", "/run/gateway", "/root", "/dev"):
        if folder and os.path.isdir(folder):
            try:
                Path(folder, "planted").write_text("x")
            except OSError:
                continue
            return folder
    return None


@probe
def another_process_is_seen(known: Known) -> object:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            told = Path(f"/proc/{entry}/cmdline").read_bytes()
            if b"sandbox.doors" in told or b"pytest" in told or b"serve" in told:
                return told
    return None


@probe
def a_process_outside_is_signalled(known: Known) -> object:
    for pid in known["processes"]:
        try:
            os.kill(pid, 0)
        except OSError:
            continue
        told = Path(f"/proc/{pid}/cmdline").read_bytes()  # one of ours may bear the number
        if b"jupyter" not in told and b"ipykernel" not in told and b"boot.main" not in told:
            return pid, told
    return None


@probe
def the_first_process_shows_the_world(known: Known) -> object:
    for path in (
        "/proc/1/root/etc/passwd",
        "/proc/1/environ",
        "/proc/1/cwd/etc",
        "/proc/self/root/etc/passwd",
    ):
        try:
            told = Path(path).read_bytes()
        except OSError:
            continue
        if told:
            return path
    return None


@probe
def tcp_reaches_out(known: Known) -> object:
    for place in [("127.0.0.1", port) for port in known["ports"]] + known["addresses"]:
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                with socket.socket(family) as line:
                    line.settimeout(1)
                    line.connect(tuple(place))
                return place
            except OSError:
                continue
    return None


@probe
def udp_reaches_out(known: Known) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        for place in known["addresses"]:
            try:
                return line.sendto(b"x", tuple(place))
            except OSError:
                continue
    return None


@probe
def names_are_resolved(known: Known) -> object:
    found = {told[4][0] for told in socket.getaddrinfo("example.com", 443)}
    return found or None


@probe
def other_families_of_sockets_are_made(known: Known) -> object:
    made = []
    for family in range(3, 50):
        if family != socket.AF_INET6:
            try:
                socket.socket(family, socket.SOCK_DGRAM).close()
            except OSError:
                continue
            made.append(family)
    return made or None


@probe
def raw_sockets_are_made(known: Known) -> object:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


@probe
def foreign_sockets_are_reached(known: Known) -> object:
    for path in [*known["sockets"], *("\0" + name for name in known["abstract"])]:
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(path)
            except OSError:
                continue
            return path
    return None


class Own(HTTPConnection):
    """A request through one of the box's own sockets."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        self.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.getresponse()
        return answer.status, answer.read()


def jupyter(method: str, path: str, body: object = None) -> tuple[int, bytes]:
    """As the notebooks' pages ask their server, with what shows that a form is its own."""
    own = Own("/run/room/server.sock")
    own.request("GET", "/lab")
    answer = own.getresponse()
    cookie = (answer.headers.get("set-cookie") or "").partition(";")[0]
    answer.read()
    token = cookie.partition("=")[2]
    return Own("/run/room/server.sock").ask(method, path, body, cookie=cookie, **{"x-xsrftoken": token})


@probe
def kernels_of_other_names_are_started(known: Known) -> object:
    for name in ("python3", "python", "ir", "../sandbox", ""):
        status, told = jupyter("POST", "/api/kernels", {"name": name} if name else {"name": "native"})
        if status < 400:
            return name, told
    return None


@probe
def terminals_are_opened(known: Known) -> object:
    status, told = jupyter("POST", "/api/terminals", {})
    return told if status < 400 else None


@probe
def extensions_are_installed(known: Known) -> object:
    body = {"cmd": "install", "extension_name": "jupyterlab-git"}
    status, told = jupyter("POST", "/lab/api/extensions", body)
    return told if status < 400 else None


@probe
def contents_follow_links_out(known: Known) -> object:
    for number, path in enumerate((*known["folders"], "/proc/1/root", "/etc")):
        link = Path.home() / f"way{number}"
        link.unlink(missing_ok=True)
        link.symlink_to(path)
        status, told = jupyter("GET", f"/api/contents/{link.name}?content=1")
        link.unlink()
        if status < 400 and json.loads(told)["content"] and path != "/etc":
            return path, told[:200]
    return None


@probe
def the_gateways_console_is_behind_the_line(known: Known) -> object:
    for path in ("/console/login", "/console/", "/", "/healthz", "/openapi.json", "/v1/../console/login"):
        status, told = Own("/run/gateway/gateway.sock").ask("GET", path)
        if status < 400:
            return path, told[:100]
    return None


@probe
def the_line_takes_one_for_another(known: Known) -> object:
    for headers in (
        {"authorization": "Bearer ds_x"},
        {"x-remote-user": known["other"].encode("utf-8").hex()},
    ):
        status, told = Own("/run/gateway/gateway.sock").ask("GET", "/v1/catalog", **headers)
        if status == 200 and any(grant in told.decode() for grant in known["grants"]):
            return told[:200]
    return None


@probe
def a_credential_lies_about(known: Known) -> object:
    for entry in ["self", *filter(str.isdigit, os.listdir("/proc"))]:
        for name in ("environ", "cmdline"):
            try:
                told = Path(f"/proc/{entry}/{name}").read_bytes()
            except OSError:
                continue
            if b"ds_" in told or b"TOKEN=" in told or b"PASSWORD" in told:
                return entry, name
    return None


@probe
def another_process_is_traced(known: Known) -> object:
    return call(101, 16, os.getppid(), 0, 0)  # ptrace, PTRACE_ATTACH


@probe
def another_process_memory_is_read(known: Known) -> object:
    return call(310, os.getppid(), 0, 0, 0, 0, 0)  # process_vm_readv


@probe
def memory_is_read_through_files(known: Known) -> object:
    with open(f"/proc/{os.getppid()}/mem", "rb", 0) as memory:
        first = Path(f"/proc/{os.getppid()}/maps").read_text().split("-")[0]
        memory.seek(int(first, 16))
        memory.read(16)
    return None  # the analyst's own server: it holds nothing that its kernel does not


@probe
def something_is_mounted(known: Known) -> object:
    return call(165, b"none", str(Path.home()).encode(), b"tmpfs", 0, 0) or call(166, b"/tmp", 0)


@probe
def a_namespace_is_made(known: Known) -> object:
    return call(272, 0x10000000) or call(272, 0x40000000)  # unshare: of users, of networks


@probe
def a_namespace_is_made_by_cloning(known: Known) -> object:
    pid = libc.syscall(ctypes.c_long(56), 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid if pid > 0 else None


@probe
def the_root_is_changed(known: Known) -> object:
    return call(161, b"/tmp") or call(155, b"/tmp", b"/tmp")  # chroot, pivot_root


@probe
def the_kernels_machinery_is_reached(known: Known) -> object:
    numbers = {"keyctl": 250, "add_key": 248, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323}
    numbers |= {"io_uring_setup": 425, "init_module": 175, "kexec_load": 246, "pidfd_getfd": 438, "kcmp": 312}
    numbers |= {"open_by_handle_at": 304, "name_to_handle_at": 303, "move_mount": 429, "fsopen": 430}
    for name, number in numbers.items():
        if (told := call(number, 0, 0, 0, 0, 0, 0)) is not None:
            return name, told
    return None


@probe
def input_is_typed_for_another(known: Known) -> object:
    return fcntl.ioctl(0, 0x5412, b"x")


@probe
def root_is_had_again(known: Known) -> object:
    attempts: list[Callable[[], None]]
    attempts = [lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgroups([0])]
    for become in attempts:
        try:
            become()
        except OSError:
            continue
        return os.getuid(), os.getgroups()
    status = Path("/proc/self/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
    return effective if int(effective, 16) else None


@probe
def settings_of_the_machine_are_written(known: Known) -> object:
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper"):
        try:
            with open(path, "w") as file:
                file.write("x")
        except OSError:
            continue
        return path
    return None


@probe
def limits_are_raised(known: Known) -> object:
    for name in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
        if resource.getrlimit(name)[1] == resource.RLIM_INFINITY:
            return name
        try:
            resource.setrlimit(name, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (ValueError, OSError):
            continue
        return name
    return None


@probe
def memory_is_taken_without_end(known: Known) -> object:
    return mmap.mmap(-1, 1 << 40)


@probe
def scratch_is_filled_without_end(known: Known) -> object:
    path = Path("/tmp/filling")
    try:
        with path.open("wb") as file:
            for _ in range(known["scratch_mb"] + 1):
                file.write(bytes(1 << 20))
    finally:
        path.unlink()
    return "all of it"


@probe
def a_file_grows_without_end(known: Known) -> object:
    path = Path.home() / "growing"
    with path.open("wb") as file:
        file.truncate(known["disk_mb"] * (1 << 20) + 1)
    return path.stat().st_size


@probe
def processes_are_made_without_end(known: Known) -> object:
    made: list[int] = []
    try:
        while len(made) < 1000:
            pid = os.fork()
            if pid == 0:
                time.sleep(30)
                os._exit(0)
            made.append(pid)
    except OSError:
        return None
    finally:
        for pid in made:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
    return len(made)


@probe
def a_program_is_started(known: Known) -> object:
    for path in (
        "/bin/sh",
        "/usr/bin/env",
        "/usr/bin/bwrap",
        "/usr/bin/gcc",
        "/usr/bin/sudo",
        "/bin/busybox",
    ):
        if os.access(path, os.X_OK):
            return path
    return None


@probe
def the_outside_is_downloaded_from(known: Known) -> object:
    with urllib.request.urlopen("https://example.com/", timeout=2) as answer:
        return answer.status


def run(known: Known) -> None:
    """Try everything; a line of JSON."""
    assert platform.machine() == "x86_64", "system calls are tried by their numbers"
    told = []
    for one in PROBES:
        try:
            found = one(known)
        except Exception:
            found = None
        told.append([one.__name__, None if found is None else repr(found)[:300]])
    print("TOLD " + json.dumps(told))
