"""A small audit log with its proofs, and the standalone verifier as its user runs it."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from sandbox.model import Person
from sandbox.store.answers import Answers
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.log import transparency
from sandbox.store.log.desk import Desk, Retention
from sandbox.store.log.export import Format
from sandbox.store.log.hashing import SHA256, Hash
from sandbox.store.log.transparency import TransparencyLog
from sandbox.store.log.witness import Witness

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
BUREAU = Person("bureau", "bureau", "bureau")
OPERATOR = Person("王芳", "operator", "晋数金科")
VERIFIER = Path(__file__).parents[2] / "docs" / "verifier" / "verify.py"


class House:
    """A log in a folder, opened anew by ``reopen``; ``place``: a store elsewhere."""

    def __init__(
        self, folder: Path, hash: Hash = SHA256, kept: Retention | None = None, place: str = ""
    ) -> None:
        self.folder = folder / "log"
        self.database = Database(place or folder / "store.db")
        self.audit = AuditLog(self.database)
        transparency.begin(self.database, self.folder, hash=hash)
        self.kept = kept or Retention()
        self.now = NOW
        self.reopen()

    def reopen(self, *places: str) -> None:
        """What a new process would see; ``places`` are its witnesses."""
        self.log = TransparencyLog(self.database, AuditLog(self.database), self.folder)
        self.witness = Witness(self.log, places, timeout_s=5)
        self.desk = Desk(
            self.database,
            self.audit,
            Answers(self.database),
            self.log,
            witness=self.witness,
            kept=self.kept,
            now=lambda: self.now,
        )

    def fill(self, count: int) -> None:
        """Add entries."""
        with self.database.write():
            for number in range(count):
                self.audit.append(
                    Event.OUTCOME,
                    time=self.now,
                    request=f"q-{number}",
                    person=OPERATOR.name,
                    organisation=OPERATOR.organisation,
                    datasets=("power",),
                    codes=("DS-304",) if number % 3 == 0 else (),
                    decision="answered",
                    text=f"SELECT {number}",
                    payload={"rows": number},
                )

    def export(self, form: Format = Format.JSONL, start: int = 0) -> str:
        """An export's text."""
        return "".join(self.desk.export(BUREAU, form, start))


class Verifier:
    """Somebody outside with the standalone program, a key, and a memory of their own."""

    def __init__(self, folder: Path, key: str) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._key = key
        self.state = folder / "state.json"
        self.program = program()

    def accepts(self, *texts: str | Mapping[str, object]) -> bool:
        """Whether everything verifies, in this order."""
        files = []
        for number, text in enumerate(texts):
            file = self._folder / f"{number}.json"
            told = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
            file.write_text(told, encoding="utf-8", newline="")
            files.append(str(file))
        return bool(self.program.main([str(self.state), *files, "--key", self._key]) == 0)


def program() -> ModuleType:
    """The standalone verifier."""
    spec = importlib.util.spec_from_file_location("standalone_verifier", VERIFIER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
