"""Connectors: one file a source, each found by its entry point.

A connector reads one kind of source in Arrow batches, with columns and filters pushed down where the
source can do so.  It judges nothing: validation, quarantine and units belong to ingestion.

May import: ``sandbox.errors``, ``sandbox.catalogue`` and ``sandbox.model``; never a door, a store or
an engine.

Start reading at the file of the source that you know best.
"""
