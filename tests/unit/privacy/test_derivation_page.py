"""The derivation that docs/derivation.md checks by hand is the one that is printed."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from sandbox.model import Derivation
from sandbox.policy.documents import DpGuard
from sandbox.policy.effective import effective
from sandbox.policy.floor import guard_in_force
from sandbox.policy.load import load
from sandbox.privacy.explain import derivation
from sandbox.privacy.plan import plan
from sandbox.sql.parse import parse
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify

ROOT = Path(__file__).parents[3]


def lines(node: Derivation, depth: int = 0) -> Iterator[str]:
    yield "  " * depth + f"{node.label}: " + "  ".join(f"{name}={value}" for name, value in node.facts)
    for child in node.children:
        yield from lines(child, depth + 1)


def test_the_page_shows_what_is_printed() -> None:
    blocks = (ROOT / "docs" / "derivation.md").read_text(encoding="utf-8").split("```")
    question = blocks[1].removeprefix("sql").strip()
    documents = load([ROOT / "tests" / "corpus" / "policies"])
    grant = next(g for g in documents.grants if isinstance(g.guard, DpGuard))
    guard = guard_in_force(grant, documents.datasets)
    assert isinstance(guard, DpGuard)
    catalogue = effective(grant, documents.datasets, {})
    made = plan(simplify(resolve(parse(question), catalogue)), guard, Fraction(1))
    assert list(lines(derivation(made, guard))) == blocks[3].strip().splitlines()
