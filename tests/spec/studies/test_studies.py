"""Questions that studies ask: the table before noise, three ways, and through bounding and protection."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from sandbox.errors import Lang, Refusal
from sandbox.privacy.plan import Plan
from sandbox.sql.relation import visible
from tests.oracle import Row
from tests.spec.studies.house import (
    Question,
    Refused,
    Study,
    database,
    oracle,
    planned,
    questions,
    read,
    refused,
)
from tests.support.compare import difference

QUESTIONS = list(questions())
REFUSED = refused()
LANGUAGES: tuple[Lang, ...] = ("zh", "en")


def plain(rows: list[tuple[Any, ...]]) -> list[Row]:
    """Numbers as reals: an exact sum is a real here and may be a whole number there."""
    numbers = (int, Decimal)
    return [
        tuple(float(v) if isinstance(v, numbers) and not isinstance(v, bool) else v for v in row)
        for row in rows
    ]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.asks)
def test_the_table_before_noise(question: Question) -> None:
    relation = read(question.sql)
    naive = [tuple(row[i] for i in visible(relation)) for row in oracle().run(relation)]
    wanted = plain(list(question.rows))
    assert difference(relation, plain(naive), wanted) is None
    assert difference(relation, plain(database().sql(question.sql).fetchall()), wanted) is None


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.asks)
def test_what_is_bounded_protected_and_put_above(question: Question) -> None:
    Study().ask(
        question.sql
    )  # raises where a sum, a unit or what stands above is otherwise than the rows say
    made = planned(question.sql)
    assert len(made.priced) == question.releases
    assert groups(made) == question.groups
    assert made.accounts


def groups(made: Plan) -> str:
    """How the last release gets its groups."""
    last = made.priced[-1].release
    if not last.keys:
        return "one"
    return "selected" if last.selection else "listed"


@pytest.mark.parametrize("case", REFUSED, ids=lambda c: c.asks)
def test_what_is_refused_says_what_to_ask_instead(case: Refused) -> None:
    with pytest.raises(Refusal) as found:
        planned(case.sql)
    assert case.code in [reason.code.name for reason in found.value.reasons]
    for reason in found.value.reasons:
        assert all(text.strip() for lang in LANGUAGES for text in (reason.what(lang), reason.now(lang)))
    assert planned(case.instead).priced


def test_there_are_enough_of_each_kind() -> None:
    kinds = Counter(question.groups for question in QUESTIONS)
    assert len(QUESTIONS) >= 60
    assert all(kinds[kind] >= 3 for kind in ("one", "listed", "selected"))
    assert sum(question.releases > 1 for question in QUESTIONS) >= 4
