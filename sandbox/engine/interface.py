"""What every engine promises: SQL text of our own compiler in, exact Arrow values out.

Invariants: a run is one SELECT and leaves nothing behind; values are exact and must go through
``sandbox.privacy`` before anyone sees them; whatever goes wrong is an ``EngineFailure``, whose text is
constant, so nothing of an engine's own words (which quote values, names and paths) can leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pyarrow as pa

from sandbox.errors import Code, Reason, Refusal


class EngineFailure(Refusal):
    """The engine did not answer.  ``limit``: it ran past its time or memory."""

    def __init__(self, *, limit: bool = False) -> None:
        super().__init__(Reason(Code.ENGINE_LIMIT if limit else Code.ENGINE))


class Engine(Protocol):
    """Runs compiled SQL over one set of snapshot tables."""

    def run(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """The rows of one SELECT.

        ``tables``: released tables, there for this run only, as ``"memory"."released"."<name>"``.
        Raises ``EngineFailure`` and nothing else.
        """
        ...
