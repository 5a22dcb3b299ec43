"""Policy: what the bureau and the owners wrote down, and what it allows.

Dataset and grant documents become frozen values, every mistake in them reported at once; together
they yield the catalogue that a grant opens, and a decision that is a value: allowed, or refused
with all reasons.  Nothing is allowed by falling through.

May import: ``sandbox.sql`` and below.  Pure, except that ``load.py`` reads files.

Start reading at ``documents.py`` (the nouns), then ``load.py``.
"""
