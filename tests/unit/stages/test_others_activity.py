"""What one operator sees does not change with what another does: no counter is shared but the log's size."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from sandbox.gateway import Gateway
from sandbox.home import Home
from sandbox.model import Person
from sandbox.store.search import LogFilter
from tests.unit.stages.conftest import COUNTED, DP, answered, codes, grant, request

RIVAL = Person("bob", "operator", "rivals")


def seen(gateway: Gateway, number: str) -> tuple[object, ...]:
    """Everything that the rival can look at, but for times and the places of entries in the log."""
    asked = replace(request("G-RIVAL", COUNTED, epsilon=Fraction(1, 2), id=f"mine {number}"), person=RIVAL)
    kept = answered(gateway.query(asked))
    none = replace(request("G-DP", COUNTED, id=f"theirs {number}"), person=RIVAL)
    page = gateway.log(RIVAL, LogFilter())
    return (
        kept.table.to_pylist(),
        kept.price,
        codes(gateway.query(none)),
        gateway.catalog(RIVAL),
        gateway.budget(RIVAL),
        [(e.kind, e.person, e.grant, e.codes) for e in page.entries][:2],
        gateway.cancel(RIVAL),
    )


def test_anothers_questions_change_nothing_that_one_sees(home: Home, gateway: Gateway) -> None:
    text = grant("G-RIVAL", DP).replace("to: shopkeepers", "to: rivals")
    (home.policies / "rival.yaml").write_text(text, encoding="utf-8")
    seen(gateway, "first")  # from here on its own answer is kept
    before = seen(gateway, "second")
    for grant_id in ("G-DP", "G-EXACT", "G-NARROW"):
        gateway.query(request(grant_id, COUNTED))
        gateway.query(request(grant_id, "SELECT nonsense"))
    gateway.cancel(request("G-DP", COUNTED).person)
    assert seen(gateway, "third") == before
