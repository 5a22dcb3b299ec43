"""One hostile person at the door: asks over HTTP, keeps every byte that came back.

Invariant: nothing of an answer is thrown away before it was looked at: cells, other forms of the same
answer, headers, and the text of refusals all stay in ``Reply``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import httpx
import pyarrow as pa

from tests.corpus.cases import Step

MONEY: Final = frozenset({"DS-307", "DS-501", "DS-502"})
"""Refusals because a budget or a quota is spent."""

_OWN: Final = frozenset({"request", "incident", "proof"})
"""What differs from request to request: ids, and the receipt with its salt, time and place in the log."""
_VARYING: Final = frozenset({"content-length", "date", "x-sandbox-request", "server-timing"})
Cell = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one text under one grant."""

    grant: str
    sql: str
    status: int
    body: str
    headers: Mapping[str, str]
    seconds: float
    other_forms: tuple[str, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def answered(self) -> bool:
        """Whether data came back."""
        return self.status == 200

    @property
    def code(self) -> str:
        """The refusal's code."""
        return str(self.told.get("code", ""))

    @property
    def reason(self) -> str:
        """The refusal in words."""
        return f"{self.code} {self.told.get('detail', self.body[:200])}"

    @property
    def rows(self) -> list[list[Cell]]:
        """The cells of an answer."""
        return list(self.told.get("rows", []))

    @property
    def noisy(self) -> list[bool]:
        """Which columns carry noise."""
        return [bool(c["noisy"]) for c in self.told.get("columns", [])]

    @property
    def nano(self) -> int:
        """What was charged for it, in ledger units."""
        price = self.told.get("price")
        return 0 if price is None or price["free"] else int(price["nano"])

    @property
    def face(self) -> tuple[object, ...]:
        """What must be the same whatever the data are, for a refusal: all but ids and clocks."""
        told = {k: v for k, v in self.told.items() if k not in _OWN} or self.body
        headers = sorted((k, v) for k, v in self.headers.items() if k not in _VARYING)
        if "retry-after" in self.headers:
            headers = [h for h in headers if h[0] != "retry-after"]
        return self.status, json.dumps(told, sort_keys=True), tuple(headers)


class Asker:
    """Asks as one person.  ``forms``: fetch answers as CSV and Arrow too (equal questions are free)."""

    def __init__(self, port: int, token: str, *, forms: bool = False) -> None:
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"authorization": f"Bearer {token}"},
            timeout=120,
            trust_env=False,
        )
        self._forms = forms

    def ask(self, step: Step, grant: str, *, forms: bool = True) -> Reply:
        """One question.  A dead or unreachable gateway raises ``httpx.HTTPError``."""
        body = body_of(step, grant)
        begun = time.perf_counter()
        response = self._send(body, "json")
        spent = time.perf_counter() - begun
        told = response.json() if "json" in response.headers.get("content-type", "") else {}
        others: tuple[str, ...] = ()
        if forms and self._forms and response.status_code == 200:
            others = (self._send(body, "csv").text, _arrow_text(self._send(body, "arrow")))
        headers = dict(response.headers)
        return Reply(grant, step.sql, response.status_code, response.text, headers, spent, others, told)

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """A reading address: budget, log, catalog."""
        response = self._client.get(path, params=parameters)
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found

    def spent(self, grant: str) -> int:
        """Ledger units charged to a grant's accounts."""
        accounts = self.get("/v1/budget")["balances"]
        return sum(int(a["spent"]) for a in accounts if a["account"].startswith(f"{grant}/"))

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _send(self, body: bytes, form: str) -> httpx.Response:
        headers = {"content-type": "application/json"}
        return self._client.post("/v1/queries", params={"format": form}, content=body, headers=headers)


def body_of(step: Step, grant: str) -> bytes:
    """The request's body; epsilon is placed literally, whatever it says."""
    plain = json.dumps({"sql": step.sql, "grant": grant, **step.parameters})
    if step.epsilon is None:
        return plain.encode()
    return f'{plain[:-1]}, "epsilon": {step.epsilon}}}'.encode()


def _arrow_text(response: httpx.Response) -> str:
    """Every cell of an Arrow answer as text, and the metadata."""
    if response.status_code != 200:
        return response.text
    table = pa.ipc.open_stream(response.content).read_all()
    cells = [str(cell) for column in table.columns for cell in column.to_pylist()]
    return "\n".join([*cells, str(table.schema.metadata)])


def number(cell: object) -> Fraction | None:
    """A cell as an exact number, if it is one."""
    if isinstance(cell, bool) or cell is None:
        return None
    try:
        return Fraction(str(cell))
    except (ValueError, ZeroDivisionError):
        return None
