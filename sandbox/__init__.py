"""Data Sandbox (数据沙箱): raw data never leaves the domain; it can be used, not seen.

Start reading at ``pipeline.py``: the journey of a query on one screen.  Layers, from the
ground up: ``errors``/``model``/``catalogue`` (nouns), ``sql``, ``policy``, ``privacy``,
then ``engine``, ``store``, ``snapshot``, then ``pipeline``, then ``doors``.
"""

__version__ = "0.1.0"
