"""From a syntax tree to a relation: names to columns, clauses to nodes.

Start at ``query.resolve``.  No sqlglot tree goes further than this package.
"""
