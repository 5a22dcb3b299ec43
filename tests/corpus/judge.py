"""Verdicts: what the corpora's README makes of the replies to one case.

``deny``: refused passes, an answer without a single value is soft, any other answer leaks.
``allow-with-protection``: refusing is safe; an answer must hold every protection that can be worked out.
In every case: no canary, no forbidden value, no failure of the gateway.

A verdict is about the mode that its case names.  Cases of exact aggregates are played under the DP grant too, where
extremes, quantiles and correlations are answered with noise and charged for: there, such an answer is no
leak in itself, and everything else that is denied still is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from tests.corpus import leaks
from tests.corpus.asker import Reply, number
from tests.corpus.cases import ALLOW, DENY, Canaries, Case
from tests.corpus.house import DP
from tests.corpus.truth import Truth, same


class Verdict(StrEnum):
    """How a case ended, from best to worst for whoever runs the gateway."""

    REFUSED = "refused"
    ANSWERED = "answered"
    SOFT = "soft"
    ERROR = "error"
    LEAK = "leak"


ORDER = tuple(Verdict)
OF_ROWS = re.compile(
    r"\b(min|max|median|quantile\w*|percentile_\w+|corr|covar_\w+|regr_\w+|sin|cos|tan)\s*\(", re.IGNORECASE
)
"""What shows or solves for values of single rows where sums are exact."""
LIMIT = "DS-702"
"""The refusal of a query that ran past its worker's limits."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict on one case under one grant, and why."""

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The replies to one case under one grant, with what the ledger said around them."""

    grant: str
    replies: tuple[Reply, ...]
    spent: int = 0
    limit_kept: bool = True


def worst(findings: Sequence[Finding]) -> Finding:
    """The finding that counts."""
    return max(findings, key=lambda f: ORDER.index(f.verdict))


def judge(case: Case, asked: Asked, canaries: Canaries, truth: Truth) -> Finding:
    """The verdict on a case under one grant."""
    failed = [r for r in asked.replies if _failed(r, case)]
    if failed:
        return Finding(Verdict.ERROR, f"{asked.grant}: HTTP {failed[0].status} {failed[0].reason}")
    shown = [v for reply in asked.replies for v in leaks.forbidden_values(reply, case, canaries)]
    if shown:
        return Finding(Verdict.LEAK, f"{asked.grant}: {'; '.join(dict.fromkeys(shown))}")
    answered = [reply for reply in asked.replies if reply.answered]
    if not answered:
        return Finding(Verdict.REFUSED, asked.replies[0].reason)
    if case.expected == DENY and _noised(case, asked.grant):
        return Finding(Verdict.ANSWERED, asked.grant)
    if case.expected == DENY:
        return _denied(asked.grant, answered)
    if case.expected == ALLOW:
        return Finding(Verdict.ANSWERED, asked.grant)
    return _protected(case, asked, canaries, truth)


def _failed(reply: Reply, case: Case) -> bool:
    """Whether the gateway, not the case, is at fault.  Limits that end a hostile query are meant to."""
    if reply.code == LIMIT:
        return case.expected == ALLOW
    return reply.status >= 500 or reply.status in (401, 404, 405, 415)


def _noised(case: Case, grant: str) -> bool:
    """Whether a case of exact aggregates is about one that this DP grant protects."""
    return grant == DP and case.mode == "aggregate" and OF_ROWS.search(case.sql) is not None


def _denied(grant: str, answered: list[Reply]) -> Finding:
    if any(leaks.holds_data(reply) for reply in answered):
        return Finding(Verdict.LEAK, f"{grant}: answered {answered[0].rows[:3]!r}")
    return Finding(Verdict.SOFT, f"{grant}: answered without a value")


def _protected(case: Case, asked: Asked, canaries: Canaries, truth: Truth) -> Finding:
    broken = [why for reply in asked.replies for why in leaks.small_groups(reply, case.suppress_keys)]
    if case.must_not_derive is not None:
        broken += leaks.derived(case.must_not_derive, asked.replies, truth.value, canaries.k)
    if "equals DuckDB's own answer" in case.protection:
        broken += [why for reply in asked.replies for why in _differs(reply, truth)]
    if case.sequence:
        broken += _ledger(asked)
    if broken:
        return Finding(Verdict.LEAK, f"{asked.grant}: {'; '.join(broken)}")
    return Finding(Verdict.ANSWERED, asked.grant)


def _differs(reply: Reply, truth: Truth) -> list[str]:
    """Whether a text that can be read in two ways was answered in another way than DuckDB's."""
    if not reply.answered:
        return []
    own = truth.ask(reply.sql)
    if own is None:
        return ["DuckDB refuses the text"]
    if len(own) != len(reply.rows) or any(len(a) != len(b) for a, b in zip(own, reply.rows, strict=True)):
        return [f"another shape than DuckDB's: {own[:2]!r}"]
    margins = reply.told["margins"]
    for row, theirs, half in zip(reply.rows, own, margins, strict=True):
        for mine, other, margin in zip(row, theirs, half, strict=True):
            a, b = number(mine), number(other)
            if a is None or b is None:
                if not same([[mine]], [[other]], tolerance=Fraction(0)):
                    return [f"{mine!r} where DuckDB has {other!r}"]
            elif abs(a - b) > max(4 * Fraction(str(margin or 0)), abs(b) / 4):
                return [f"{mine!r} where DuckDB has {other!r}"]
    return []


def _ledger(asked: Asked) -> list[str]:
    """Charges must add up, and one question must have one answer while it is free."""
    found = []
    charged = sum(reply.nano for reply in asked.replies)
    if asked.spent < charged:
        found.append(f"answers cost {charged}, the ledger has {asked.spent}")
    if not asked.limit_kept:
        found.append("the budget was exceeded")
    first: dict[str, Reply] = {}
    for reply in asked.replies:
        if reply.answered and reply.told.get("price") is not None:
            before = first.setdefault(reply.sql, reply)
            if before is not reply and reply.rows != before.rows and reply.nano == 0:
                found.append("a free answer that is new")
    return found
