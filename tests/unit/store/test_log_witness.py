"""Witnesses: files, and a real HTTP witness that checks what it is sent as C2SP tlog-witness asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sandbox.errors import Code, Refusal, refuse
from sandbox.store.log.caretaker import Caretaker
from sandbox.store.log.checkpoint import Checkpoint
from sandbox.store.log.desk import Retention
from sandbox.store.log.note import Signer
from sandbox.store.log.witness import Delivery
from tests.support.logs import BUREAU, NOW, OPERATOR, House, program

VERIFY = program()


class Witnessing(ThreadingHTTPServer):
    """Holds one checkpoint, takes only what grows from it; ``broken`` answers 500 to all."""

    def __init__(self, key: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.key = key
        self.held: tuple[int, bytes] = (0, b"")
        self.broken = False
        self.size_type = "text/x.tlog.size"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/add-checkpoint"

    def take(self, body: str) -> tuple[int, str]:
        head, _, note = body.partition("\n\n")
        old, *proof = head.split("\n")
        if int(old.removeprefix("old ")) != self.held[0]:
            return 409, f"{self.held[0]}\n"
        _, size, root = VERIFY.read_checkpoint(note, [self.key])
        VERIFY.check_growth("sha256", self.held[0], self.held[1], size, root, proof)
        self.held = (size, root)
        return 200, f"— witness.example {size}\n"


class Handler(BaseHTTPRequestHandler):
    server: Witnessing

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        status, text = (500, "") if self.server.broken else self.server.take(body)
        self.send_response(status)
        self.send_header("content-type", self.server.size_type if status == 409 else "text/plain")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path)
    opened.fill(5)
    yield opened
    opened.database.close()


def test_a_file_that_says_more_than_we_know_is_left_as_it_is(house: House, tmp_path: Path) -> None:
    """Where the store and its files both went back, it is what still knows of the entries that are gone."""
    place = tmp_path / "head"
    house.reopen(str(place))
    log, keys = house.log, house.log.keys.signer()
    longer = Checkpoint(log.origin, 99, bytes(32)).signed(keys)
    another = Checkpoint("another.example/log", 3, bytes(32)).signed(Signer.make("another.example/log"))
    for there in (longer, another):
        place.write_text(there, encoding="utf-8")
        assert [d.trouble for d in house.witness.push(NOW)] == ["conflict"]
        assert place.read_text(encoding="utf-8") == there
    unsigned = Checkpoint(log.origin, 99, bytes(32)).signed(Signer.make(log.origin))
    for there in (unsigned, "", "\n\n", "\x00" * 9, log.checkpoint()):
        place.write_text(there, encoding="utf-8")
        assert [d.trouble for d in house.witness.push(NOW)] == [""]
        assert place.read_text(encoding="utf-8") == log.checkpoint()
        house.fill(1)


@pytest.fixture
def witness(house: House) -> Iterator[Witnessing]:
    server = Witnessing(house.log.keys.signer().public.text)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_heads_reach_files_and_witnesses_with_proofs(
    house: House, witness: Witnessing, tmp_path: Path
) -> None:
    file = tmp_path / "owner" / "checkpoint"
    house.reopen(str(file), witness.url)
    assert house.desk.witness(BUREAU, push=False) == (Delivery(str(file)), Delivery(witness.url))
    put = sent = Delivery("")
    for size in (5, 6, 300):
        house.fill(size - house.audit.size())
        put, sent = house.desk.witness(BUREAU, push=True)
        assert (put.size, put.trouble, sent.size, sent.trouble) == (size, "", size, "")
        assert sent.cosigned == f"— witness.example {size}\n"
        assert witness.held[0] == house.log.signed_here(file.read_text(encoding="utf-8")).size == size
    assert house.witness.state() == (put, sent)
    file.unlink()
    assert house.witness.push(NOW) == (put, sent)  # nothing new: nothing is sent
    assert not file.exists()
    with pytest.raises(Refusal):
        house.desk.witness(OPERATOR, push=True)


def test_what_cannot_be_delivered_is_shown_and_tried_again(
    house: House, witness: Witnessing, tmp_path: Path
) -> None:
    (tmp_path / "busy").write_text("in the way")
    dead = "http://127.0.0.1:1/add-checkpoint"
    house.reopen(str(tmp_path / "busy" / "file"), dead, witness.url, "http://[bad")
    witness.broken = True
    found = house.witness.push(NOW)
    assert [d.trouble for d in found] == ["not writable", "unreachable", "HTTP 500", "unreachable"]
    assert [d.size for d in found] == [0, 0, 0, 0]
    assert house.witness.state() == found
    witness.broken = False
    (tmp_path / "busy").unlink()
    assert [d.trouble for d in house.witness.push(NOW)] == ["", "unreachable", "", "unreachable"]


def test_a_witness_that_remembers_more_than_we_do_is_asked_what_it_holds(
    house: House, witness: Witnessing
) -> None:
    house.reopen(witness.url)
    house.witness.push(NOW)
    (house.folder / "witness.json").write_text("nonsense")
    house.fill(1)
    assert house.witness.push(NOW)[0].size == 6
    (house.folder / "witness.json").unlink()
    witness.size_type = "text/plain"
    assert house.witness.push(NOW)[0].trouble == "HTTP 409"
    witness.size_type = "text/x.tlog.size"
    witness.held = (1000, b"")  # a longer log was signed: ours was cut
    assert house.witness.push(NOW)[0].trouble == "conflict"


def test_the_caretaker_works_beside_the_queries(house: House, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    house.kept = Retention(personal_days=1)
    house.reopen(str(file))
    caretaker = Caretaker(house.desk, house.witness, 0.01, lambda: house.now)
    waiting = threading.Event()
    for _ in range(500):
        if file.exists():
            break
        waiting.wait(0.01)
    caretaker.stop()
    assert house.log.signed_here(file.read_text(encoding="utf-8")).size == 5
    house.now = NOW.replace(day=26)
    caretaker.round()  # a day has passed
    caretaker.round()
    entry = house.audit.entry(5)
    assert entry is not None and entry.kind == "purge"
    assert house.audit.size() == 6


def test_the_caretaker_goes_on_where_the_store_refuses(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise refuse(Code.STORE, "locked")

    caretaker = Caretaker(house.desk, house.witness, 3600, lambda: NOW)
    monkeypatch.setattr(house.log, "publish", broken)
    caretaker.round()
    caretaker.stop()
