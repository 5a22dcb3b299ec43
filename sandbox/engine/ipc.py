"""Tables on the wire: Arrow IPC streams as the bodies of frames."""

from __future__ import annotations

import pyarrow as pa

from sandbox.engine.frames import Body


def written(table: pa.Table) -> Body:
    """A table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def opened(body: Body) -> pa.Table:
    """The table of an Arrow IPC stream, sharing its memory; ``pa.ArrowException`` if it is none.

    Checked in full: offsets and lengths come from another process, and nothing may reach past a buffer.
    """
    with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
        table = reader.read_all()
    table.validate(full=True)
    return table
