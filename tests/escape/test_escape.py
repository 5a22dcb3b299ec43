"""Nothing gets out of a worker's box; and each probe does get out where what holds it is taken away."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.engine import box as boxes
from sandbox.engine import process
from sandbox.engine.box import Box
from sandbox.engine.found import available
from sandbox.engine.layers import Floor, Layer, level
from tests.escape.intruder import Target
from tests.escape.run import HERE, PROBES, escapes, floors, surroundings, twin_box, worker_box

ROOT = os.geteuid() == 0

# A child that reads its orders and does not obey: everything planted at once.
DISOBEDIENT = (
    "import sys; sys.path += sys.argv[3:]; sys.path.append(sys.argv[1]); "
    "from sandbox.engine.frames import Channel; Channel(0, 1).receive(1 << 20); "
    "from importlib import import_module; import_module(sys.argv[2]).main()"
)

# Nothing to inherit is left by our own start of processes; the first process may be out of reach for anybody.
NEVER = {"inherited_descriptors", "read_first_environment"}
# Devices, kernel features and keys that a host may lack or forbid to root.
HOSTS = {
    *(
        "open_a_device",
        "make_a_device",
        "load_a_program_into_the_kernel",
        "performance_events",
        "user_faults",
    ),
    *(
        "io_uring",
        "kernel_keyring",
        "network_interfaces",
        "packet_socket",
        "raw_socket",
        "mount_a_file_system",
    ),
    *("new_user_namespace", "new_name_space_by_clone", "change_root", "gain_capabilities", "shared_memory"),
    *("trace_the_gateway", "process_vm_read", "read_gateway_memory", "take_the_gateways_descriptors"),
}

FILES = {
    *("read_home", "read_policy", "read_store", "read_neighbour", "list_home", "read_host_configuration"),
    *("write_home", "write_temporary"),
}
SOCKETS = {"udp_to_the_host", "pathname_socket"}

# Layers taken away -> some of the probes that get out without them, and did not with them.
HOLES: dict[str, tuple[set[Layer], set[str]]] = {
    "neither Landlock nor namespaces": ({Layer.LANDLOCK, Layer.NAMESPACES, Layer.USER}, FILES),
    "neither filter nor namespaces": (
        {Layer.FILTER, Layer.NAMESPACES, Layer.USER},
        {*SOCKETS, "change_a_mode"},
    ),
    "no filter": ({Layer.FILTER}, {"replace_itself", "anonymous_file"}),
    "no filter, no user": ({Layer.FILTER, Layer.USER}, {"replace_itself", "anonymous_file"}),
}


@pytest.fixture(scope="module")
def around() -> Iterator[tuple[Target, Path]]:
    with surroundings() as found:
        yield found


@pytest.mark.parametrize("floor", floors())
@pytest.mark.parametrize("who", ["worker", "twin"])
def test_nothing_gets_out(around: tuple[Target, Path], floor: str, who: str, tmp_path: Path) -> None:
    target, own = around
    layers = floors()[floor]
    box = worker_box(own, tmp_path, layers) if who == "worker" else twin_box(layers)
    tried = dict(escapes(target, box))
    assert set(tried) == set(PROBES)
    assert [name for name, out in tried.items() if out] == []
    assert list(tmp_path.iterdir()) == []


def test_every_probe_gets_out_where_nothing_holds_it(
    around: tuple[Target, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a probe that is broken would be reported as refused."""
    target, own = around
    monkeypatch.setattr(process, "_BOOT", DISOBEDIENT)
    box = replace(worker_box(own, tmp_path, frozenset({Layer.LIMITS})), spill_size=1 << 40)
    held = {name for name, out in escapes(target, box) if not out}
    plain = set() if ROOT else {"read_shadow", "become_root", "raise_its_limits", "write_code", "fork_bomb"}
    assert held <= NEVER | HOSTS | plain


@pytest.mark.parametrize("hole", HOLES)
def test_a_layer_that_is_taken_away_is_missed(around: tuple[Target, Path], hole: str, tmp_path: Path) -> None:
    target, own = around
    without, expected = HOLES[hole]
    box = worker_box(own, tmp_path, available() - without)
    assert {name for name, out in escapes(target, box, tuple(expected)) if out} == expected


@pytest.mark.parametrize(
    ("limit", "probe"),
    [("address_space", "memory"), ("spill_size", "many_files"), ("spill_size", "one_large_file")],
)
def test_a_limit_that_is_too_wide_is_missed(
    around: tuple[Target, Path], tmp_path: Path, limit: str, probe: str
) -> None:
    target, own = around
    box = worker_box(own, tmp_path, available())
    wide = replace(box, **{limit: 1 << 40})  # type: ignore[arg-type]  # the two limits are whole numbers
    assert dict(escapes(target, box, (probe,))) == {probe: False}
    assert dict(escapes(target, wide, (probe,))) == {probe: True}


def test_an_inherited_descriptor_would_be_noticed(
    around: tuple[Target, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, own = around
    box = worker_box(own, tmp_path, frozenset({Layer.LIMITS}))
    held = os.open(target.folder, os.O_RDONLY)
    monkeypatch.setattr(process, "_started", lambda *started: _leaking(held, *started))
    try:
        assert dict(escapes(target, box, ("inherited_descriptors",))) == {"inherited_descriptors": True}
    finally:
        os.close(held)


def _leaking(held: int, module: str, box: Box, scratch: str) -> object:
    command = [boxes.interpreter(), "-I", "-S", "-B", "-c", process._BOOT, boxes.ROOT, module]
    return process._popen([*command, *boxes.libraries(), *box.code], held)


def test_the_floor_of_some_layers() -> None:
    assert level({Layer.LIMITS}) is Floor.PROCESS
    assert level({Layer.LANDLOCK, Layer.NAMESPACES, Layer.USER}) is Floor.PROCESS
    assert level({Layer.FILTER}) is Floor.PROCESS
    assert level({Layer.FILTER, Layer.LANDLOCK}) is Floor.KERNEL
    assert level({Layer.FILTER, Layer.NAMESPACES}) is Floor.BOX


GATEWAY = """
import sys, threading, time
sys.path.append({root!r})
from sandbox.engine.box import Box
from sandbox.engine.layers import Layer
from sandbox.engine.process import Child
made = []
starting = threading.Thread(target=lambda: made.append(Child("deaf", Box(frozenset(map(Layer, {layers!r})), code=({here!r},)))))
starting.start()
starting.join()  # a child is not its starter's: that thread is gone, and the child must stay
time.sleep(0.3)
print(made[0].worker, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("floor", floors())
def test_a_worker_that_does_not_listen_ends_with_its_gateway(floor: str) -> None:
    script = GATEWAY.format(root=boxes.ROOT, layers=[str(layer) for layer in floors()[floor]], here=HERE)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        worker = int(gateway.stdout.readline())
        assert not _gone(worker)
        gateway.kill()
    end = time.monotonic() + 10
    while not _gone(worker) and time.monotonic() < end:
        time.sleep(0.02)
    assert _gone(worker)


def _gone(pid: int) -> bool:
    """No such process, or a zombie that waits for a foreign init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
