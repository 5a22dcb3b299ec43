"""Compiling relations to DuckDB: our tree in, one SELECT out.

``compile_relation`` and ``compile_expr`` are the whole interface.  What the text consists of is fixed
here and in the function registry; of the user's own text only string constants ever get in.
"""

from sandbox.sql.compile.expressions import compile_expr, render_literal
from sandbox.sql.compile.fixed import plain_zero
from sandbox.sql.compile.relations import compile_relation
from sandbox.sql.compile.typed import typed

__all__ = ["compile_expr", "compile_relation", "plain_zero", "render_literal", "typed"]
