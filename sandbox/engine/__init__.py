"""Engines: run a compiled relation over a snapshot and hand back exact values as Arrow.

The values are exact and must not leave: only ``sandbox.privacy`` makes them releasable.  DuckDB runs
in a worker process that sees the snapshot directory, read-only, and nothing else; its error texts
never leave the worker.

May import: ``sandbox.privacy`` and below; not ``sandbox.store``, not ``sandbox.snapshot``.

Start reading at the interface every engine implements, then at the DuckDB worker.
"""
