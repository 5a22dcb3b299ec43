"""Many threads at one gateway: plans, answers, quotas, budgets and the log come out as if they had queued."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

from sandbox.gateway import Gateway
from sandbox.home import Home
from sandbox.model import Answer, Request
from sandbox.store.search import LogFilter
from tests.unit.stages.conftest import COUNTED, answered, codes, grant, request

KINDS = "SELECT kind, COUNT(*) AS n, SUM(fee) AS s FROM visit GROUP BY kind ORDER BY kind"
QUOTA = 12


def test_threads_get_their_own_answers(home: Home, gateway: Gateway) -> None:
    (home.policies / "narrow.yaml").write_text(
        grant("G-NARROW", f"{{mode: exact, queries: {{day: {QUOTA}, total: 100}}}}", "person_id, city"),
        "utf-8",
    )
    asked = [
        *(request("G-EXACT", sql) for sql in (COUNTED, KINDS) * 6),
        *(request("G-NARROW", COUNTED) for _ in range(QUOTA + 3)),
        *(request("G-NARROW", KINDS) for _ in range(4)),
        *(request("G-DP", COUNTED, epsilon=Fraction(1, n)) for n in (4, 8) * 4),
    ]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(gateway.query, asked))
    of = {one.id: answer for one, answer in zip(asked, found, strict=True)}

    for one in asked:
        if one.grant == "G-EXACT":
            expected = [[0, 1], [60, 60], [60, 660]] if one.sql == KINDS else [[0, 1, 2], [40, 40, 40]]
            assert answered(of[one.id]).table.to_pydict() == {f"c{i}": v for i, v in enumerate(expected)}
        elif one.sql == KINDS:
            assert codes(of[one.id]) == ["UNKNOWN_COLUMN"]
    _quota_is_exact(asked, of)
    _draws_agree(gateway, asked, of)
    _log_is_whole(gateway, asked)


def _quota_is_exact(asked: list[Request], of: Mapping[str, object]) -> None:
    mine = [of[one.id] for one in asked if one.grant == "G-NARROW" and one.sql == COUNTED]
    assert Counter(isinstance(found, Answer) for found in mine) == {True: QUOTA, False: 3}


def _draws_agree(gateway: Gateway, asked: list[Request], of: Mapping[str, object]) -> None:
    """One answer for one question, whoever drew it first; and every draw is paid for."""
    for epsilon in (Fraction(1, 4), Fraction(1, 8)):
        mine = [of[one.id] for one in asked if one.epsilon == epsilon]
        tables = [found.table for found in mine if isinstance(found, Answer)]
        assert len(tables) == 4 and all(table.equals(tables[0]) for table in tables)
    paid = sum(
        found.price.nano
        for found in of.values()
        if isinstance(found, Answer) and found.price and not found.price.free
    )
    own = next(a for a in gateway.store.ledger.balances() if a.account.startswith("G-DP/"))
    assert own.spent == paid
    assert gateway.store.ledger.orphans() == ()


def _log_is_whole(gateway: Gateway, asked: list[Request]) -> None:
    entries = gateway.store.search.entries(LogFilter(limit=1000)).entries
    assert sorted(entry.seq for entry in entries) == list(range(len(entries)))
    assert not gateway.store.search.missing_outcomes()
    ends = Counter(entry.request for entry in entries if entry.kind in ("outcome", "refusal"))
    assert ends == {one.id: 1 for one in asked}
