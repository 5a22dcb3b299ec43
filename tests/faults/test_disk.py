"""Disks that fail, files that are damaged, a store that is locked, clocks that jump: nothing leaves unlogged.

The sweep over every call is ``make faults``; here it strides through them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest

from sandbox import gateway as gateways
from sandbox.doors.http import create_app
from sandbox.errors import Refusal
from sandbox.home import Home
from sandbox.store.database import Database
from sandbox.store.search import LogFilter, LogSearch
from tests.faults.books import Books
from tests.faults.disk import ERRORS
from tests.faults.house import Question, Received, make_home, token
from tests.faults.nursery import Nursery, Serving, free_port
from tests.faults.sweep import MACHINE, Sweep
from tests.faults.test_crash import SOUND
from tests.unit.doors.conftest import Client


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with contextlib.closing(Nursery()) as found:
        yield found


@dataclass
class Served:
    """A home, whoever asks there, and the server when there is one."""

    home: Home
    nursery: Nursery
    port: int
    token: str
    serving: Serving | None = None
    number: int = 0

    def start(self) -> bool:
        """Serve the home as it lies on the disk; False if that is refused."""
        self.serving = self.nursery.start(self.home.path, self.port)
        if self.serving.ready():
            return True
        self.stop()
        return False

    def stop(self) -> None:
        """Kill it."""
        if self.serving is not None:
            self.serving.kill()
            self.serving.close()
            self.serving = None

    def ask(self, grant: str = "G-DP", number: int | None = None) -> tuple[Question, httpx.Response]:
        """A question, a new one unless it is told."""
        self.number += number is None
        at = self.number if number is None else number
        question = Question(grant, at, f"key {at}")
        headers = {"authorization": f"Bearer {self.token}"}
        url = f"http://127.0.0.1:{self.port}/v1/queries"
        return question, httpx.post(url, json=question.body, headers=headers, timeout=90)

    def answer(self, grant: str = "G-DP") -> Received:
        """An answer that must be had."""
        question, found = self.ask(grant)
        assert found.status_code == 200, found.text
        return Received(0, question, found.json())

    def said(self) -> str:
        """What the server wrote."""
        return (self.home.path / "serve.log").read_text(encoding="utf-8")


def served(folder: Path, nursery: Nursery) -> Served:
    home = make_home(folder)
    return Served(home, nursery, free_port(), token(home, "ann"))


@pytest.fixture
def house(tmp_path: Path, nursery: Nursery) -> Iterator[Served]:
    found = served(tmp_path / "home", nursery)
    yield found
    found.stop()


def refused(found: httpx.Response, *codes: str) -> dict[str, object]:
    """A refusal by one of these codes, with nothing of the machine in it."""
    body: dict[str, object] = found.json()
    assert found.status_code != 200 and "rows" not in body
    assert body["code"] in codes, body
    assert not MACHINE.search(json.dumps({k: v for k, v in body.items() if k not in ("proof", "type")})), body
    return body


def test_any_write_may_fail(tmp_path: Path) -> None:
    with contextlib.closing(Sweep(tmp_path)) as sweep:
        most, reached = sweep.calls(), 0
        assert most > 20
        for number, at in enumerate(range(1, most + 1, 5)):
            error = list(ERRORS)[number % len(ERRORS)]
            grant = ("G-DP", "G-EXACT")[number % 2]
            reached += sweep.fault(at, error, sticky=number % 4 < 2, grant=grant)
        sweep.books.whole()
    assert reached > most // 10
    assert sweep.answers["DS-902"] > most // 10
    assert sweep.wrong == []
    assert sweep.books.found.counts() == SOUND


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB.  Only root may mount one."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def read_only(small_disk: Path, tmp_path: Path) -> Iterator[Path]:
    """The small disk once more, at another place, where nobody may write."""
    place = tmp_path / "read-only"
    place.mkdir()
    subprocess.run(["mount", "--bind", str(small_disk), str(place)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_connection_opened_on_a_read_only_disk_is_not_kept(
    small_disk: Path, read_only: Path, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.symlink_to(small_disk)
    database = Database(place / "store.db")
    with contextlib.closing(sqlite3.connect(small_disk / "store.db")) as other:
        other.execute("SELECT * FROM audit").fetchall()  # so that the write-ahead log stays there
        database.close()  # so that the file is opened anew
        place.unlink()
        place.symlink_to(read_only)
        with pytest.raises(Refusal, match="not writable"), database.read() as connection:
            connection.exec_driver_sql("SELECT * FROM audit").fetchall()
        place.unlink()
        place.symlink_to(small_disk)
        with database.write() as connection:
            connection.exec_driver_sql("CREATE TABLE after (x INTEGER)")
    database.close()


def test_a_real_disk_that_is_full_and_then_is_not(small_disk: Path, nursery: Nursery, tmp_path: Path) -> None:
    house = served(small_disk / "home", nursery)
    with contextlib.closing(Books(house.home, ["ann"], tmp_path / "auditor")) as books:
        assert house.start()
        before = house.answer()
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        exact: list[httpx.Response] = []
        full: list[httpx.Response] = []
        while len(full) < 3:  # what is left of the write-ahead log fills up
            exact.append(house.ask("G-EXACT")[1])
            full += [found for found in exact[-1:] if found.status_code != 200]
            assert len(exact) < 500
        for found in full:
            assert "disk" in str(refused(found, "DS-902")["detail"])
        filler.unlink()
        books.check([before, house.answer(), house.answer("G-EXACT")])
        assert books.requests("outcome") >= {f.json()["request"] for f in exact if f.status_code == 200}
        books.whole()
        house.stop()
    assert books.found.counts() == SOUND


def test_a_real_disk_that_turns_read_only(small_disk: Path, nursery: Nursery, tmp_path: Path) -> None:
    """Files that are open keep a disk writable: the store is let go of before, as at a start."""
    house = served(small_disk / "home", nursery)
    mount = partial(subprocess.run, check=True, capture_output=True)
    mount(["mount", "-o", "remount,ro", str(small_disk)])
    try:
        with pytest.raises(Refusal) as caught:
            gateways.open_gateway(house.home)
        assert caught.value.reasons[0].code.id == "DS-902"
    finally:
        mount(["mount", "-o", "remount,rw", str(small_disk)])
    with contextlib.closing(Books(house.home, ["ann"], tmp_path / "auditor")) as books:
        assert house.start()
        books.check([house.answer()])
        house.stop()
    assert books.found.counts() == SOUND


def test_damaged_bytes_of_the_store_are_found_or_harm_nothing(house: Served, tmp_path: Path) -> None:
    """Wherever they fall: the service names the damage, or what it answers is proved."""
    assert house.start()
    kept = [house.answer() for _ in range(3)]
    house.stop()
    with contextlib.closing(Database(house.home.store)), sqlite3.connect(house.home.store) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    whole, dice = tmp_path / "whole", random.Random(11)
    shutil.copytree(house.home.path, whole)
    found = []
    for _ in range(5):
        data = bytearray((whole / "store.db").read_bytes())
        for place in (dice.randrange(len(data)) for _ in range(200)):
            data[place] ^= 1 << dice.randrange(8)
        _restored(house.home, whole)
        Path(house.home.store).write_bytes(data)
        found.append(_damaged(house, kept))
    assert any(word != "answered" for word in found), found


def _restored(home: Home, whole: Path) -> None:
    for beside in ("-wal", "-shm"):
        Path(f"{home.store}{beside}").unlink(missing_ok=True)
    shutil.rmtree(home.log)
    shutil.copytree(whole / "log", home.log)


def _damaged(house: Served, kept: list[Received]) -> str:
    """Ask a store whose bytes were changed; what came of it."""
    before = len(house.said())
    if not house.start():
        said = house.said()[before:]
        assert "DS-90" in said and "Traceback" not in said, said
        return "not started"
    try:
        for grant, number in (("G-DP", kept[0].question.number), ("G-DP", None), ("G-EXACT", None)):
            _, reply = house.ask(grant, number)
            if reply.status_code != 200:
                return str(refused(reply, "DS-504", "DS-801", "DS-902", "DS-903", "DS-905")["code"])
            index = int(reply.json()["proof"]["index"])
            assert json.loads(reply.json()["proof"]["entry"])["kind"] == "outcome" and index > 0
            if number is not None:
                assert reply.json()["rows"] == kept[0].body["rows"]
        return "answered"
    finally:
        house.stop()


def test_a_write_ahead_log_cut_short_is_found_by_whoever_holds_a_receipt(
    house: Served, tmp_path: Path
) -> None:
    books = Books(house.home, ["ann"], tmp_path / "auditor")
    store = Path(house.home.store)
    assert house.start()
    received = [house.answer() for _ in range(3)]
    house.stop()
    data, ahead = store.read_bytes(), Path(f"{store}-wal").read_bytes()
    books.check(received)
    books.close()
    assert books.found.counts() == SOUND
    Path(f"{store}-shm").unlink(missing_ok=True)
    store.write_bytes(data)
    Path(f"{store}-wal").write_bytes(ahead[: len(ahead) // 2])
    assert not _whole(house, received, tmp_path / "auditor")


def _whole(house: Served, received: list[Received], folder: Path) -> bool:
    """Whether an auditor with a memory finds nothing; or the service itself will not open the log."""
    with (
        contextlib.suppress(Refusal),
        contextlib.closing(Books(house.home, ["ann"], folder)) as books,
    ):
        with contextlib.suppress(Refusal):
            books.check(received)
        return books.found.counts() == SOUND
    return False


def test_tiles_and_heads_are_made_again_and_the_start_says_so(house: Served, tmp_path: Path) -> None:
    received = []
    for harm in ("", "removed", "truncated", "emptied head"):
        gateways.open_gateway(house.home).close()  # publishes the head, as the service does every minute
        _harm(house.home, harm)
        assert house.start()
        received.append(house.answer())
        house.stop()
    with contextlib.closing(Books(house.home, ["ann"], tmp_path / "auditor")) as books:
        books.check(received)
        books.whole()
        said = [start["repaired"] for start in books.starts() if start["repaired"]]
    # Who opens the log and who serves it both say so; a stopped service may leave tiles to make as well.
    assert [what for what, _ in itertools.groupby(said)] == ["tiles", "checkpoint"]
    assert said.count("tiles") >= 4 and said.count("checkpoint") == 2
    assert books.found.counts() == SOUND


def _harm(home: Home, harm: str) -> None:
    tiles = _tiles(home)
    assert tiles or not harm
    for tile in tiles:
        if harm == "removed":
            tile.unlink()
        elif harm == "truncated":
            tile.write_bytes(tile.read_bytes()[:-7])
    if harm == "emptied head":
        (home.log / "checkpoint").write_bytes(b"")


def _tiles(home: Home) -> list[Path]:
    return [file for file in (home.log / "tile").rglob("*") if file.is_file()]


@pytest.fixture
def inside(house: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Client]]:
    """The gateway in this process, with a patience and a clock to choose."""
    with contextlib.ExitStack() as stack:

        def made(clock: Callable[[], dt.datetime] = gateways.utc_now, patience: float = 30.0) -> Client:
            monkeypatch.setattr(gateways, "utc_now", clock)
            monkeypatch.setattr(gateways, "Database", partial(Database, patience=patience))
            opened = gateways.open_gateway(house.home)
            stack.callback(opened.close)
            client = Client(create_app(opened, opened.accounts, clock))
            client.headers["authorization"] = f"Bearer {house.token}"
            return client

        yield made


def test_a_store_that_another_process_holds_is_named_locked(
    house: Served, inside: Callable[..., Client]
) -> None:
    client = inside(patience=0.2)
    assert client.post("/v1/queries", json=Question("G-EXACT", 1, "a").body).status_code == 200
    holder = sqlite3.connect(house.home.store, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    body = refused(client.post("/v1/queries", json=Question("G-DP", 2, "b").body), "DS-902")
    assert "locked" in str(body["detail"])
    holder.execute("ROLLBACK")
    holder.close()
    assert client.post("/v1/queries", json=Question("G-DP", 2, "b").body).status_code == 200


def test_a_clock_that_jumps_back_and_forth_disorders_nothing(
    house: Served, inside: Callable[..., Client], tmp_path: Path
) -> None:
    steps = [dt.timedelta(hours=h) for h in (0, -26, 3, -1, 48, -2)]
    offset = [steps[0]]
    client = inside(clock=lambda: dt.datetime.now(dt.UTC) + offset[0])
    received = []
    for number, step in enumerate(steps):
        offset[0] = step
        for grant in ("G-DP", "G-EXACT"):
            question = Question(grant, number, f"{grant} {number}")
            found = client.post("/v1/queries", json=question.body)
            assert found.status_code == 200, found.text
            received.append(Received(0, question, found.json()))
    with contextlib.closing(Books(house.home, ["ann"], tmp_path / "auditor")) as books:
        books.check(received)
        books.whole()
        page = LogSearch(books.database).entries(LogFilter(limit=500))
        times = [entry.time for entry in reversed(page.entries)]
        alarms = [e for e in page.entries if e.kind == "alert" and '"clock"' in e.payload]
    assert times == sorted(times)
    assert len(alarms) == 3  # one for each time that it fell behind, not one an entry
    assert books.found.counts() == SOUND
