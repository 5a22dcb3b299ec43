"""Receipts and checkpoints over a real store: what is proved, and what refuses instead of proving."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.errors import Code, Refusal
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.log import checkpoint, identity, merkle, transparency
from sandbox.store.log.checkpoint import Checkpoint
from sandbox.store.log.hashing import SHA256, SM3, Hash
from sandbox.store.log.identity import Identity
from sandbox.store.log.keys import Keys
from sandbox.store.log.note import Signer
from sandbox.store.log.transparency import TransparencyLog
from tests.support.logs import BUREAU, NOW, House


@pytest.fixture(params=[SHA256, SM3], ids=["sha256", "sm3"])
def hash(request: pytest.FixtureRequest) -> Hash:
    found: Hash = request.param
    return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path)
    yield opened
    opened.database.close()


def tampered(house: House, *statements: str) -> None:
    """Another program's hands on the file, its fences down."""
    raw = sqlite3.connect(house.folder.parent / "store.db", isolation_level=None)
    for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        raw.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        raw.execute(statement)
    raw.close()


def refused(work: Callable[[], object]) -> tuple[Code, str]:
    with pytest.raises(Refusal) as caught:
        work()
    return caught.value.code, caught.value.reasons[0].subject


def test_a_receipt_proves_an_entry_in_either_hash(tmp_path: Path, hash: Hash) -> None:
    house = House(tmp_path, hash)
    house.fill(600)
    for seq in (0, 255, 256, 599):
        found = house.log.receipt(seq)
        head = checkpoint.opened(found.checkpoint, house.log.origin, house.log.keys.public())
        assert (found.hash, found.index, head.size) == (hash.name, seq, 600)
        leaf = hash.leaf(found.entry.encode())
        assert merkle.root_of_inclusion(seq, 600, leaf, found.path, hash) == head.root
        assert found.salt is not None and found.personal is not None
        bound = hash.digest(found.salt + found.personal.encode()).hex()
        assert json.loads(found.entry)["commitment"] == bound
    assert refused(lambda: house.log.receipt(600)) == (Code.NOT_FOUND, "entry 600")
    house.database.close()


def test_processes_and_threads_share_a_log(house: House) -> None:
    other = TransparencyLog(house.database, house.audit, house.folder)

    def one(number: int) -> bool:
        seq = house.audit.append(Event.LOGIN, time=NOW)
        return (other if number % 2 else house.log).receipt(seq).index == seq

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(300)))
    assert house.log.checkpoint() == other.checkpoint()
    house.log.publish()
    assert other.publish() == house.log.checkpoint()


def test_a_checkpoint_stands_until_the_log_grows(house: House) -> None:
    house.fill(3)
    first = house.log.checkpoint()
    assert house.log.checkpoint() == first
    house.fill(1)
    second = house.log.checkpoint()
    assert house.log.signed_here(second).size == 4
    assert house.log.holds(first).size == 3
    assert house.log.consistency(3)["checkpoint"] == second
    assert len(house.log.proof(3, 4)) == len(merkle.consistency(3, 4, lambda _h, _i: b"", SHA256))
    assert refused(lambda: house.log.consistency(5)) == (Code.CHECKPOINT, "5 entries, where there are 4")
    assert refused(lambda: house.log.proof(4, 3))[0] is Code.CHECKPOINT


def test_opening_reads_the_edge_and_says_what_was_made_again(house: House) -> None:
    house.fill(700)
    house.log.publish()
    house.fill(10)
    house.reopen()
    assert house.log.repaired == ""
    assert house.log.receipt(705).index == 705
    edge = house.folder / "tile" / "0" / "002.p" / "188"
    for spoil in (b"", bytes(198 * 32 - 1), bytes(198 * 32)):
        edge.write_bytes(spoil)
        house.reopen()
        assert house.log.repaired == "tiles"
        assert house.log.publish()
        edge = house.folder / "tile" / "0" / "002.p" / "198"
    (house.folder / "checkpoint").unlink()
    house.reopen()
    assert house.log.repaired == "checkpoint"
    house.log.publish()
    (house.folder / "checkpoint").write_bytes(b"\x00" * 100)  # what a power cut leaves
    house.reopen()
    assert house.log.repaired == "checkpoint"


def test_a_damaged_old_tile_is_made_again_when_a_proof_needs_it(house: House) -> None:
    house.fill(600)
    house.log.publish()
    for spoil in (b"", bytes(256 * 32)):
        (house.folder / "tile" / "0" / "000").write_bytes(spoil)
        house.reopen()
        assert house.log.receipt(7).index == 7
        assert house.log.repaired == "tiles"
        (house.folder / "tile" / "0" / "001").write_bytes(spoil)
        house.reopen()
        assert house.log.consistency(300)["from"] == 300
        assert house.log.repaired == "tiles"


def test_verify_reads_everything_and_mends_tiles(house: House) -> None:
    house.fill(600)
    held = house.log.publish()
    (house.folder / "tile" / "0" / "001").write_bytes(bytes(256 * 32))
    (house.folder / "tile" / "0" / "000").unlink()
    house.reopen()
    found = house.log.verify(held)
    assert (found.entries, found.purged, found.tiles) == (600, 0, 2)
    assert house.log.verify(held).tiles == 0
    tampered(house, "DELETE FROM audit_personal WHERE seq < 5")
    assert house.log.verify().purged == 5


def test_an_empty_log_verifies(house: House) -> None:
    house.log.publish()
    house.reopen()
    assert house.log.verify().entries == 0
    assert house.log.holds(house.log.checkpoint()).size == 0


COLUMNS = {
    "time": "time + 1",
    "kind": "'refusal'",
    "request": "'x'",
    "organisation": "'x'",
    "grant_id": "'x'",
    "datasets": "'[\"x\"]'",
    "decision": "'x'",
    "codes": "'not json'",
    "nano": "nano + 1",
    "commitment": "'00'",
    "leaf": "x'00'",
}


@pytest.mark.parametrize("column", COLUMNS)
def test_an_edited_entry_is_named_and_its_receipt_refused(house: House, column: str) -> None:
    house.fill(20)
    house.log.publish()
    tampered(house, f"UPDATE audit SET {column} = {COLUMNS[column]} WHERE seq = 7")
    assert refused(lambda: house.log.receipt(7)) == (Code.LOG_DAMAGED, "entry 7")
    code, subject = refused(house.log.verify)
    assert (code, subject) == (Code.LOG_DAMAGED, "entry 7")


def test_a_leaf_of_another_kind_is_named(house: House) -> None:
    house.fill(20)
    tampered(house, "UPDATE audit SET leaf = 5 WHERE seq = 7")
    assert refused(house.log.checkpoint) == (Code.LOG_DAMAGED, "entry 7")
    assert refused(house.reopen) == (Code.LOG_DAMAGED, "entry 7")


@pytest.mark.parametrize("column", ["person", "text", "payload", "salt"])
def test_an_edited_personal_part_is_named(house: House, column: str) -> None:
    house.fill(20)
    tampered(house, f"UPDATE audit_personal SET {column} = 'x' WHERE seq = 7")
    assert refused(lambda: house.log.receipt(7)) == (Code.LOG_DAMAGED, "entry 7")
    assert refused(house.log.verify)[1] == "entry 7"


@pytest.mark.parametrize(
    ("statement", "subject"),
    [
        ("DELETE FROM audit_datasets WHERE seq = 7", "the index of datasets"),
        ("UPDATE audit_codes SET code = 'DS-999' WHERE seq = 6", "the index of codes"),
    ],
)
def test_an_entry_hidden_from_searches_is_named(house: House, statement: str, subject: str) -> None:
    house.fill(20)
    tampered(house, statement)
    assert refused(house.log.verify) == (Code.LOG_DAMAGED, subject)


def resealed(house: House, seq: int) -> None:
    """Edit an entry as someone would who knows how entries are hashed."""
    row = house.audit.sealed(seq)
    assert row is not None
    data = row.data.replace(b"answered", b"refused!")
    tampered(
        house,
        f"UPDATE audit SET decision = 'refused!', leaf = x'{SHA256.leaf(data).hex()}' WHERE seq = {seq}",
    )


def test_an_edit_with_its_hash_made_anew_differs_from_what_was_signed(house: House) -> None:
    house.fill(20)
    held = house.log.publish()
    resealed(house, 7)
    assert refused(lambda: house.log.receipt(7)) == (Code.LOG_DAMAGED, "the first 20 entries")
    assert refused(lambda: house.log.verify(held))[0] is Code.LOG_DAMAGED
    for file in (house.folder / "tile").rglob("*"):
        if file.is_file():
            file.unlink()
    assert refused(house.reopen) == (Code.LOG_DAMAGED, "the first 20 entries")
    (house.folder / "checkpoint").unlink()  # now only who held a checkpoint can tell
    house.reopen()
    assert refused(lambda: house.log.holds(held)) == (Code.LOG_DAMAGED, "the first 20 entries")
    code, subject = refused(lambda: house.log.verify(held))
    assert (code, subject) == (Code.LOG_DAMAGED, "the first 20 entries are not those that were signed")


def test_deletion_reordering_and_truncation_are_named(house: House) -> None:
    house.fill(20)
    held = house.log.publish()
    gone = ("audit_personal", "audit_datasets", "audit_codes", "audit")
    tampered(house, *(f"DELETE FROM {table} WHERE seq = 19" for table in gone))
    assert refused(house.log.verify)[1] == "19 entries, where 20 were signed"
    tampered(house, "UPDATE log_head SET size = 19")
    assert refused(house.reopen) == (Code.LOG_DAMAGED, "19 entries, where 20 were signed")
    (house.folder / "checkpoint").unlink()
    house.reopen()
    assert refused(lambda: house.log.holds(held)) == (Code.LOG_DAMAGED, "19 entries, where 20 were signed")
    tampered(house, *(f"DELETE FROM {table} WHERE seq = 3" for table in gone))
    assert refused(house.reopen) == (Code.LOG_DAMAGED, "entry 3")
    assert refused(house.log.verify)[1] == "entry 3 is missing"


def test_a_log_cut_beneath_a_running_gateway_is_refused(house: House) -> None:
    house.fill(20)
    house.log.checkpoint()
    gone = ("audit_personal", "audit_datasets", "audit_codes", "audit")
    tampered(
        house, *(f"DELETE FROM {table} WHERE seq >= 10" for table in gone), "UPDATE log_head SET size = 10"
    )
    house.fill(1)
    assert refused(lambda: house.log.receipt(10)) == (Code.LOG_DAMAGED, "11 entries, where 20 were signed")


def test_the_head_counts_what_is_not_there(house: House) -> None:
    house.fill(2)
    sealed = house.audit.sealed(1)
    assert sealed is not None
    assert refused(lambda: house.log._proved(house.log._grown(None), 2, sealed.leaf))[1] == "entry 2"


def test_checkpoints_of_others_are_refused(house: House, tmp_path: Path) -> None:
    house.fill(5)
    head = house.log.signed_here(house.log.publish())
    (tmp_path / "other").mkdir()
    other = House(tmp_path / "other")
    forged = Checkpoint(head.origin, 5, head.root).signed(Signer.make(head.origin))
    for bad in (other.log.checkpoint(), forged, "nonsense", house.log.checkpoint().replace("5", "6", 1)):
        assert refused(lambda bad=bad: house.log.holds(bad))[0] is Code.CHECKPOINT  # type: ignore[misc]
        (house.folder / "checkpoint").write_text(bad, encoding="utf-8")
        assert refused(house.reopen)[0] is Code.CHECKPOINT
    other.database.close()


def test_a_log_without_its_key_or_a_key_without_its_log(house: House, tmp_path: Path) -> None:
    house.fill(1)
    (house.folder / "keys").rename(tmp_path / "elsewhere")
    assert refused(house.reopen) == (Code.LOG_KEY, "it is not here")
    assert refused(house.log.checkpoint) == (Code.LOG_KEY, "it is not here")
    (tmp_path / "elsewhere").rename(house.folder / "keys")
    house.database.close()
    fresh = Database(tmp_path / "fresh.db")
    assert refused(lambda: transparency.begin(fresh, house.folder)) == (
        Code.LOG_DAMAGED,
        "there is a key and no log",
    )
    fresh.close()


def test_who_dies_between_name_and_key_leaves_a_key_to_adopt(tmp_path: Path) -> None:
    database, keys = Database(tmp_path / "store.db"), Keys(tmp_path / "log" / "keys")
    signer = Signer.make("example.com/log")
    keys.save(signer)
    identity.begin(database, Identity("example.com/log", SHA256))
    assert transparency.begin(database, tmp_path / "log").origin == "example.com/log"
    assert keys.signer() == signer
    database.close()


def test_of_two_keys_none_is_adopted(tmp_path: Path) -> None:
    database, keys = Database(tmp_path / "store.db"), Keys(tmp_path / "log" / "keys")
    for _ in range(2):
        keys.save(Signer.make("example.com/log"))
    identity.begin(database, Identity("example.com/log", SHA256))
    assert refused(lambda: transparency.begin(database, tmp_path / "log")) == (Code.LOG_KEY, "it is not here")
    database.close()


def test_two_who_begin_a_log_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process fixed the name between our look and our write: its name stands, and its key."""
    database, folder = Database(tmp_path / "store.db"), tmp_path / "log"
    begin = identity.begin

    def raced(store: Database, wanted: Identity) -> Identity:
        monkeypatch.undo()
        transparency.begin(store, folder, "other.example")
        return begin(store, wanted)

    monkeypatch.setattr(identity, "begin", raced)
    assert transparency.begin(database, folder, "ours").origin == "other.example"
    assert TransparencyLog(database, AuditLog(database), folder).keys.signer().public.name == "other.example"
    database.close()


def test_files_that_cannot_be_written_refuse(house: House) -> None:
    house.fill(2)
    (house.folder / "tile").write_text("in the way")
    assert refused(house.log.publish) == (Code.STORE, "the log's files cannot be written")
    (house.folder / "tile").unlink()
    assert house.log.publish()
    assert house.log.receipt(1).index == 1


def test_a_tree_that_no_remaking_helps_is_damaged(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.fill(2)
    monkeypatch.setattr(merkle, "root_of_inclusion", lambda *_: b"")
    assert refused(lambda: house.log.receipt(1)) == (Code.LOG_DAMAGED, "its tree")


def test_an_identity_is_fixed_once(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    audit = AuditLog(database)
    audit.append(Event.START, time=NOW)
    with pytest.raises(ValueError, match="SHA-256"):
        identity.begin(database, Identity("a", SM3))
    first = identity.begin(database, Identity("a", SHA256))
    assert identity.begin(database, Identity("b", SM3)) == first
    database.close()


def test_rotation_is_vouched_for_by_the_old_key(house: House) -> None:
    house.fill(1)
    old = house.log.keys.signer().public
    told = house.desk.rotate(BUREAU)
    new = house.log.keys.signer().public
    assert new != old
    assert checkpoint.opened(str(told["checkpoint"]), house.log.origin, [old]).size == 2
    assert json.loads(json.loads(str(told["personal"]))["payload"]) == {"before": old.text, "key": new.text}
    assert checkpoint.opened(house.log.checkpoint(), house.log.origin, [new]).size == 2
    assert house.desk.head()["rotations"] == [dict(told)]
    assert house.desk.head()["keys"] == [new.text, old.text]
    file = next((house.folder / "rotations").iterdir())
    file.write_text("nonsense")
    assert refused(house.desk.head)[0] is Code.LOG_KEY
    file.unlink()
    file.parent.rmdir()
    file.parent.write_text("in the way")
    assert refused(lambda: house.desk.rotate(BUREAU)) == (Code.LOG_KEY, "it cannot be written")
    assert house.log.keys.signer().public == new
