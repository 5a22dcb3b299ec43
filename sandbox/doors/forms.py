"""Answers as files: CSV and Arrow, the margins as columns of their own beside the values."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from sandbox.doors import wire
from sandbox.doors.values import columns_of, exact, margins_of
from sandbox.model import Answer, AnswerColumn

_SPECIAL = frozenset('",\r\n')


def layout(columns: tuple[AnswerColumn, ...]) -> list[tuple[str, int, bool]]:
    """Name, place and whether it is a margin, of every column of a file.

    A noisy column is followed by ``<name>_margin``; underscores are added until that name is free.
    """
    taken = {c.name for c in columns}
    found: list[tuple[str, int, bool]] = []
    for i, column in enumerate(columns):
        found.append((column.name, i, False))
        if column.noisy:
            name = f"{column.name}_margin"
            while name in taken:
                name += "_"
            taken.add(name)
            found.append((name, i, True))
    return found


def csv(answer: Answer) -> str:
    """RFC 4180 with a header; NULL is empty, the empty text is ``""``."""
    places = layout(answer.columns)
    values, margins = columns_of(answer), margins_of(answer)
    columns = [margins[i] if margin else values[i] for _, i, margin in places]
    lines = [_line(_quoted(name) for name, _, _ in places)]
    rows = zip(*columns, strict=True)
    lines += (_line(_quoted(v) if isinstance(v, str) else exact(v) for v in row) for row in rows)
    return "".join(lines)


def _line(cells: Iterable[str]) -> str:
    return ",".join(cells) + "\r\n"


def _quoted(cell: str) -> str:
    if cell and not _SPECIAL.intersection(cell):
        return cell
    return '"' + cell.replace('"', '""') + '"'


def arrow(answer: Answer) -> bytes:
    """An Arrow IPC stream.  The schema's metadata holds, as JSON under ``sandbox``, all but the rows."""
    places = layout(answer.columns)
    sources = [(answer.margins if margin else answer.table).column(i) for _, i, margin in places]
    names = [pa.field(name, s.type) for (name, _, _), s in zip(places, sources, strict=True)]
    schema = pa.schema(names, metadata={"sandbox": wire.text(wire.about(answer))})
    table = pa.Table.from_arrays(sources, schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
