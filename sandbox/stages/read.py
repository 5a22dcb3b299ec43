"""What a text means under one grant: two engines read it alike, and the grant allows it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from sandbox.catalogue import Catalogue, Kind
from sandbox.context import Context
from sandbox.engine.plan import PlanFacts
from sandbox.errors import Code, Refusal, refuse
from sandbox.policy.authorize import authorize
from sandbox.sql.opinion import agrees
from sandbox.sql.parse import parse
from sandbox.sql.relation import Relation
from sandbox.sql.resolve.query import resolve
from sandbox.sql.simplify import simplify
from sandbox.stages.clock import Clock

TWIN_TYPES: Final = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INTEGER: "BIGINT",
    Kind.DECIMAL: "DOUBLE",
    Kind.DOUBLE: "DOUBLE",
    Kind.STRING: "VARCHAR",
    Kind.DATE: "DATE",
    Kind.TIMESTAMP: "TIMESTAMP",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A text understood and allowed, and the names that it gives to its visible columns."""

    relation: Relation
    names: tuple[str, ...]


def read(sql: str, context: Context, clock: Clock) -> Reading:
    """Parse, resolve, get the second opinion, authorize; or refuse with every reason."""
    relation = _understand(sql, context, clock)
    with clock.stage("authorize"):
        reasons = authorize(relation, context.catalogue)
        if reasons:
            raise Refusal(*reasons)
    return Reading(relation, tuple(f.name for f in relation.fields if not f.hidden))


def _understand(sql: str, context: Context, clock: Clock) -> Relation:
    with clock.stage("parse"):
        tree = parse(sql)
    try:
        with clock.stage("resolve"):
            resolved = resolve(tree, context.catalogue)
        # Only what resolves is put to the other process, and it reads while we simplify.
        with ThreadPoolExecutor(1) as beside:
            asked = beside.submit(_described, sql, context)
            with clock.stage("simplify"):
                relation = simplify(resolved)
            with clock.stage("opinion"):
                _agree(asked.result(), resolved, relation)
    except RecursionError:
        raise refuse(Code.TEXT_NESTING, "too deep") from None
    return relation


def _described(sql: str, context: Context) -> PlanFacts | None:
    # A new snapshot may store other kinds under the same documents: it names the tables as well.
    key = f"{context.catalogue.version} {context.snapshot}"
    return context.twin.describe(key, twin_tables(context.catalogue), sql)


def _agree(found: PlanFacts | None, resolved: Relation, relation: Relation) -> None:
    """The second opinion: refuses OPINION unless both engines read the same."""
    if found is None or not found.single_select:
        raise refuse(Code.OPINION)
    same = agrees(
        resolved,
        relation,
        tables=found.tables,
        columns=found.columns,
        functions=found.functions,
        foreign=found.foreign,
    )
    if not same:
        raise refuse(Code.OPINION)


def twin_tables(catalogue: Catalogue) -> dict[str, list[tuple[str, str]]]:
    """The empty twin of a catalogue: tables with (column, DuckDB type)."""
    return {t.id: [(c.name, TWIN_TYPES[c.kind]) for c in t.columns] for t in catalogue.tables}
