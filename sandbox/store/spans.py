"""Which entries can lie in a period: the times within each full block of the log.

A clock may jump back, so that times need not grow with the entries' numbers; blocks tell exactly what a
period can touch, and a question about a week ten million entries ago starts there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, func, insert, select

from sandbox.store.schema import audit, audit_spans

BLOCK: Final = 4096
"""Entries a block."""

Span = tuple[int, int]
"""Entries from the first number on, and before the second."""


def follow(connection: Connection, size: int, most: int) -> None:
    """Note the times of at most ``most`` further blocks that a log of ``size`` has filled."""
    start = _known(connection)
    stop = min(size // BLOCK, start + most)
    if start >= stop:
        return
    block = audit.c.seq // BLOCK
    times = select(block, func.min(audit.c.time), func.max(audit.c.time)).group_by(block)
    within = times.where(audit.c.seq >= start * BLOCK, audit.c.seq < stop * BLOCK)
    connection.execute(insert(audit_spans).from_select(["block", "least_time", "most_time"], within))


def spans(connection: Connection, size: int, since: int | None, until: int | None) -> list[Span]:
    """The stretches of the log in which a time from ``since`` on and before ``until`` can occur, in order."""
    if since is None and until is None:
        return [(0, size)]
    wanted = select(audit_spans.c.block).order_by(audit_spans.c.block)
    if since is not None:
        wanted = wanted.where(audit_spans.c.most_time >= since)
    if until is not None:
        wanted = wanted.where(audit_spans.c.least_time < until)
    found = [(block * BLOCK, (block + 1) * BLOCK) for block in connection.execute(wanted).scalars()]
    return _merged([*found, (_known(connection) * BLOCK, size)])


def _known(connection: Connection) -> int:
    last = connection.execute(select(func.max(audit_spans.c.block))).scalar()
    return 0 if last is None else int(last) + 1


def _merged(parts: Iterable[Span]) -> list[Span]:
    """Neighbours as one."""
    found: list[Span] = []
    for low, high in parts:
        if found and found[-1][1] == low:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return [(low, high) for low, high in found if low < high]
