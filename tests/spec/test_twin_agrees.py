"""The engine's binder finds no function in the reference's queries that the second opinion does not know."""

from __future__ import annotations

import re

from sandbox.engine.twin import Twin
from sandbox.sql.casts import SPELLED
from sandbox.sql.opinion import KNOWN
from tests.spec.house import TOWNS, VISITS, cases


def test_the_binder_finds_only_known_functions() -> None:
    tables = {t.id: [(c.name, SPELLED[c.kind]) for c in t.columns] for t in (TOWNS, VISITS)}
    with Twin() as twin:
        for case in cases():
            # A column named AT has to be quoted for the engine.
            found = twin.describe("spec", tables, re.sub(r"\bat\b", '"at"', case.sql))
            assert found is not None, case.sql
            assert found.functions <= KNOWN and not found.foreign, case.sql
