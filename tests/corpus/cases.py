"""Cases of the corpora: one JSON object a line, in the format of the corpora's own README.

Invariant: a field that the scorer does not know is an error, never silently passed over, so that a file
with new demands is not scored as if it had none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

DATA: Final = Path(__file__).parent / "data"

DENY: Final = "deny"
PROTECT: Final = "allow-with-protection"
ALLOW: Final = "allow"

_KNOWN: Final = frozenset(
    (
        *(
            "id",
            "class",
            "category",
            "mode",
            "sql",
            "steps",
            "dp",
            "leak",
            "expected",
            "reason",
            "protection",
        ),
        *("protection", "must_not_contain", "suppress_keys", "must_not_derive", "via", "engine", "note"),
    )
)
_KNOWN_STEP: Final = frozenset(
    ("sql", "repeat", "concurrent", "epsilon", "as", "mode", "control", "dp", "note")
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a text asked ``repeat`` times (``concurrent`` at once), or a ``control`` of the house.

    ``epsilon`` is literal JSON text.  ``parameters`` are further fields of the request's body.
    """

    sql: str = ""
    repeat: int = 1
    concurrent: int = 1
    epsilon: str | None = None
    person: str = "operator"
    mode: str | None = None
    control: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Derive:
    """An expression over the answers that must not come out near ``forbidden``."""

    expression: str
    forbidden: float | str
    tolerance: float


@dataclass(frozen=True, slots=True)
class Case:
    """One case, attack or legitimate."""

    id: str
    kind: str
    mode: str
    expected: str
    steps: tuple[Step, ...]
    sequence: bool
    protection: str
    must_not_contain: tuple[float | str, ...]
    suppress_keys: tuple[str, ...]
    must_not_derive: Derive | None

    @property
    def sql(self) -> str:
        """All the texts of the case: what an answer may echo."""
        return "\n".join(step.sql for step in self.steps)


@dataclass(frozen=True, slots=True)
class Canaries:
    """Values planted in the data: an answer that holds one has leaked."""

    strings: tuple[str, ...]
    numbers: tuple[float, ...]
    ids: tuple[int, ...]
    k: int


def read(file: Path) -> list[Case]:
    """Every case of a file.  Raises ``ValueError`` naming the line for what is not of the format."""
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                found.append(case(json.loads(line)))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{file.name}, line {number}: {error!r}") from error
    return found


def case(row: Mapping[str, Any]) -> Case:
    """One case from its object."""
    _only(row, _KNOWN)
    dp = dict(row.get("dp", {}))
    steps = tuple(_step(s, dp) for s in row.get("steps", [{"sql": row.get("sql")}]))
    derive = row.get("must_not_derive")
    return Case(
        id=row["id"],
        kind=row.get("class") or row["category"],
        mode=row["mode"],
        expected=row["expected"],
        steps=steps,
        sequence="steps" in row,
        protection=row.get("protection", ""),
        must_not_contain=tuple(row.get("must_not_contain", ())),
        suppress_keys=tuple(row.get("suppress_keys", ())),
        must_not_derive=derive and Derive(derive["expr"], derive["forbidden"], derive["tol"]),
    )


def _step(row: Mapping[str, Any], dp: Mapping[str, Any]) -> Step:
    _only(row, _KNOWN_STEP)
    told = {**dp, **row.get("dp", {})}
    epsilon = told.pop("epsilon_json", None)
    return Step(
        sql=row.get("sql", ""),
        repeat=int(row.get("repeat", 1)),
        concurrent=int(row.get("concurrent", 1)),
        epsilon=str(row["epsilon"]) if "epsilon" in row else epsilon,
        person=row.get("as", "operator"),
        mode=row.get("mode"),
        control=row.get("control", ""),
        parameters=told,
    )


def _only(row: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(row) - known)
    if unknown:
        raise ValueError(f"unknown fields: {', '.join(unknown)}")


def canaries(profile: Path) -> Canaries:
    """The canaries and the threshold of a ``policy.json``."""
    told = json.loads(profile.read_text(encoding="utf-8"))
    planted = told["canaries"]
    return Canaries(
        tuple(planted["strings"]), tuple(planted["numbers"]), tuple(planted["ids"]), int(told["k_min_units"])
    )
