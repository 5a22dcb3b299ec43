"""A store from a backup, in both stores: refused at the start, recovered on record, nothing forgotten."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update

from sandbox.errors import Code, Refusal
from sandbox.policy.scopes import Scope
from sandbox.store.accounts import Accounts, Bearer
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.freezes import Freezes
from sandbox.store.ledger import Account, Charge, Ledger, Reservation, Short
from sandbox.store.log import recovery
from sandbox.store.log.checkpoint import Checkpoint
from sandbox.store.log.note import Signer
from sandbox.store.log.recovery import Recovered, recover
from sandbox.store.log.transparency import TransparencyLog
from sandbox.store.schema import audit, audit_codes, audit_datasets, audit_personal, log_head, log_identity
from tests.support.logs import BUREAU, NOW, OPERATOR, House, Verifier

LEFT, SIGNED = 300, 700
CHARGE = Charge("g/person@d", "zcdp", 30, 1, 80, 9)
TOTALS = (Account("g/person@d", "zcdp", 0, 100, 0, 9), Account("late/person@d", "zcdp", 0, 50, 0, 0))


class Restored:
    """A store of ``LEFT`` entries beside the files of its log, which had ``SIGNED`` when they were lost."""

    def __init__(self, folder: Path, place: str) -> None:
        house = House(folder, place=place)
        house.fill(LEFT - 2)
        self.token = Accounts(house.database).issue(OPERATOR, "laptop", NOW)
        ledger = Ledger(house.database)
        with house.database.write():
            for kind in (Event.INTENT, Event.OUTCOME):
                house.audit.append(kind, time=NOW, request="q", person=OPERATOR.name, grant="g", nano=30)
            made = ledger.reserve(f"{OPERATOR.name}/q", (CHARGE,), NOW)
            assert isinstance(made, Reservation)
            ledger.commit(ledger.touch(made))
        self.key = house.log.keys.signer().public.text
        self.verifier = Verifier(folder / "verifier", self.key)
        self.house, self.database, self.folder = house, house.database, house.folder
        assert self.verifier.accepts(house.log.publish())
        self._lose(folder / "lost.db")

    def _lose(self, place: Path) -> None:
        """The log goes on in a store of its own, which nobody has any more."""
        copy = Database(place)
        with self.database.read() as before, copy.write() as after:
            for table in (log_identity, audit, audit_personal, audit_datasets, audit_codes):
                rows = [row._asdict() for row in before.execute(select(table))]
                after.execute(insert(table), sorted(rows, key=lambda row: row.get("seq", 0)))
            after.execute(update(log_head).values(before.execute(select(log_head)).one()._asdict()))
        copy.close()
        lost = House(place.parent, place=str(place))
        lost.fill(SIGNED - LEFT)
        self.head = lost.log.publish()
        lost.database.close()

    def recover(self, *held: str) -> Recovered | None:
        return recover(self.database, self.folder, BUREAU, "the disk died", NOW, held=held, totals=TOTALS)

    def refused(self, code: Code, *held: str) -> str:
        size = AuditLog(self.database).size()
        with pytest.raises(Refusal) as caught:
            self.recover(*held)
        assert caught.value.code is code
        assert AuditLog(self.database).size() == size
        return caught.value.reasons[0].subject


@pytest.fixture
def restored(tmp_path: Path, place: str) -> Iterator[Restored]:
    made = Restored(tmp_path, place)
    yield made
    made.database.close()


def opened(restored: Restored) -> TransparencyLog:
    return TransparencyLog(restored.database, AuditLog(restored.database), restored.folder)


def start_refused(restored: Restored) -> Code:
    with pytest.raises(Refusal) as caught:
        opened(restored)
    return caught.value.code


def test_it_is_refused_then_goes_on_under_a_name_of_its_own(restored: Restored) -> None:
    before = {p.name for p in (restored.folder / "keys").iterdir()}
    assert start_refused(restored) is Code.LOG_DAMAGED
    found = restored.recover()
    assert found is not None
    assert (found.entries, found.signed, found.proved, found.tokens) == (LEFT, SIGNED, True, 1)
    restored.house.reopen()
    restored.house.fill(3)
    log = restored.house.log
    assert log.origin == f"{found.before}/recovered-1"
    assert log.keys.public()[0].text == found.key
    assert len(log.keys.public()) == 1
    assert not log.repaired
    entry = restored.house.audit.entry(LEFT)
    assert entry is not None
    told = json.loads(entry.payload)
    assert (entry.kind, entry.person, entry.text) == ("recover", "bureau", "the disk died")
    assert (told["head"], told["signed"], told["proved"]) == (restored.head, SIGNED, True)
    frozen = restored.house.audit.entry(LEFT + 1)
    assert frozen is not None
    assert (frozen.kind, json.loads(frozen.payload)["scope"]) == ("freeze", "everything")
    newcomer = Verifier(restored.folder.parent / "new", found.key)
    assert newcomer.accepts(restored.house.export())
    assert not restored.verifier.accepts(log.checkpoint())  # whoever knew the old log is told by a person
    aside = restored.folder / recovery.BEFORE / "1"
    assert (aside / "checkpoint").read_text(encoding="utf-8") == restored.head
    assert (aside / "tile").is_dir()
    assert {p.name for p in (aside / "keys").iterdir()} == before - {"current"}
    assert restored.house.desk.verify(BUREAU).money == []
    assert restored.refused(Code.REQUEST) == "the store has every entry that is known to be signed"


def test_nothing_is_left_of_any_budget_and_everything_is_decided_anew(restored: Restored) -> None:
    accounts, ledger = Accounts(restored.database), Ledger(restored.database)
    assert accounts.bearer(restored.token, NOW) == Bearer(OPERATOR, Scope.ALL)
    found = restored.recover()
    assert found is not None
    spent = {c.account: (c.amount, c.delta) for c in found.spent}
    assert spent == {"g/person@d": (70, 8), "late/person@d": (50, 0)}
    for account in spent:
        asked = ledger.reserve(f"x/{account}", (Charge(account, "zcdp", 1, 0, 100, 9),), NOW)
        assert isinstance(asked, Short)
    held = ledger.balance("g/person@d")
    assert held is not None
    assert (held.spent, held.delta_spent, held.limit) == (100, 9, 80)
    assert ledger.orphans() == ()
    assert accounts.bearer(restored.token, NOW) is None
    (freeze,) = Freezes(restored.database).active()
    assert (freeze.reason, freeze.by) == ("the disk died", "bureau")


def test_budgets_that_are_spent_and_of_another_measure_stay_as_they_are(restored: Restored) -> None:
    ledger = Ledger(restored.database)
    ledger.reserve("li/2", (Charge("f/person@d", "pure", 5, 0, 5, 0),), NOW)
    other = (Account("g/person@d", "pure", 0, 1000, 0, 1000),)
    found = recover(restored.database, restored.folder, BUREAU, "r", NOW, totals=other)
    assert found is not None
    assert [(c.account, c.amount, c.delta) for c in found.spent] == [("g/person@d", 50, 8)]


def test_without_budgets_nothing_is_charged(tmp_path: Path, place: str) -> None:
    house = House(tmp_path, place=place)
    house.fill(4)
    head = Checkpoint(house.log.origin, 9, bytes(32)).signed(house.log.keys.signer())
    found = recover(house.database, house.folder, BUREAU, "r", NOW, held=[head])
    assert found is not None
    assert (found.entries, found.signed, found.proved, found.spent) == (4, 9, False, ())
    house.reopen()
    assert house.desk.verify(BUREAU).entries == 6
    house.database.close()


def test_a_second_backup_is_a_second_name(restored: Restored) -> None:
    first = restored.recover()
    assert first is not None
    log = opened(restored)
    longer = Checkpoint(log.origin, 999, bytes(32)).signed(log.keys.signer())
    log.publish()
    again = restored.recover(longer)
    assert again is not None
    assert (again.before, again.signed, again.proved) == (log.origin, 999, True)  # as far as was published
    assert opened(restored).origin == f"{first.before}/recovered-2"
    assert {p.name for p in (restored.folder / recovery.BEFORE).iterdir()} == {"1", "2"}


def test_entries_that_are_not_those_that_were_signed_are_not_recovered(restored: Restored) -> None:
    with restored.database.write() as connection:
        fenced = connection.dialect.name != "sqlite"  # the server's store is used again: its fence must stay
        aside = "SET LOCAL session_replication_role = replica" if fenced else "DROP TRIGGER audit_no_update"
        connection.execute(text(aside))
        connection.execute(update(audit).where(audit.c.seq == 7).values(leaf=bytes(32)))
    assert restored.refused(Code.LOG_DAMAGED) == "entry 7"
    shutil.rmtree(restored.folder / "tile" / "0")
    found = restored.recover()
    assert found is not None
    assert not found.proved


def test_only_heads_of_this_log_say_that_something_is_missing(restored: Restored) -> None:
    origin = opened_origin(restored)
    forged = Checkpoint(origin, 5000, bytes(32)).signed(Signer.make(origin))
    assert restored.refused(Code.CHECKPOINT, forged) == "no known key signed this note"
    assert restored.refused(Code.CHECKPOINT, "nonsense") == "not a signed note"
    (restored.folder / "checkpoint").unlink()  # the folder is from the backup too: a witness remembers
    assert restored.refused(Code.REQUEST)
    found = restored.recover(restored.head)
    assert found is not None
    assert (found.signed, found.proved) == (SIGNED, False)


def opened_origin(restored: Restored) -> str:
    return restored.head.split("\n", 1)[0]


@pytest.mark.parametrize("step", ["saved", "moved", "copied", "activated"])
def test_whoever_dies_halfway_does_the_rest_when_asked_again(
    restored: Restored, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step of the files is made to fail once, as a full disk or a crash would."""
    broken = {
        "saved": "write_off",
        "moved": "Path.rename",
        "copied": "shutil.copy2",
        "activated": "Keys.activate",
    }[step]
    with monkeypatch.context() as patched:
        patched.setattr(f"sandbox.store.log.recovery.{broken}", failing)
        with pytest.raises((OSError, Refusal)):
            restored.recover()
    done = AuditLog(restored.database).size() > LEFT
    assert done is (step != "saved")
    assert start_refused(restored) is (Code.LOG_KEY if done else Code.LOG_DAMAGED)
    found = restored.recover()
    assert (found is None) is done
    assert opened(restored).origin == f"{opened_origin(restored)}/recovered-1"
    assert len(list((restored.folder / "keys").glob("*.key"))) == 1


def failing(*_: object, **__: object) -> None:
    raise OSError("no space")


def test_two_recoveries_at_once_are_one(restored: Restored, monkeypatch: pytest.MonkeyPatch) -> None:
    proved = recovery._proved

    def overtaken(*told: object) -> bool:
        monkeypatch.setattr(recovery, "_proved", proved)
        assert restored.recover() is not None
        return True

    monkeypatch.setattr(recovery, "_proved", overtaken)
    with pytest.raises(Refusal) as caught:
        restored.recover()
    assert caught.value.code is Code.REQUEST
    assert opened(restored).origin == f"{opened_origin(restored)}/recovered-1"


def test_a_log_without_a_name_cannot_be_recovered(restored: Restored) -> None:
    with restored.database.write() as connection:
        connection.execute(log_identity.delete())
    with pytest.raises(Refusal) as caught:
        restored.recover()
    assert caught.value.code is Code.LOG_DAMAGED


def test_a_waiting_key_that_is_damaged_is_refused(restored: Restored) -> None:
    fresh = Signer.make(f"{opened_origin(restored)}/recovered-1")
    keys = restored.folder / "keys"
    (keys / f"{fresh.public.id.hex()}.vkey").write_text(fresh.public.text, encoding="utf-8")
    assert restored.refused(Code.LOG_KEY) == "its file is damaged"
