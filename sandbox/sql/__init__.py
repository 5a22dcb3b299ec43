"""The SQL front: from the text of a query to a typed relation, and from a relation to SQL text.

It decides whether a text is one SELECT of an allowed form and what that SELECT means over the
catalogue.  What it cannot convert into its own closed algebra is refused by name; what runs later is
compiled from that algebra, never from the user's text.

May import: ``sandbox.errors``, ``sandbox.catalogue``, ``sandbox.model``, sqlglot.  Pure: no engine,
clock, socket, disk or randomness.  No sqlglot tree leaves this package.

Start reading at ``relation.py`` (the nouns), then ``parse.py``, ``resolve.py``, ``compile.py``.
"""
