"""The scalar functions that a query may use: ``FUNCTIONS`` by canonical name."""

from sandbox.sql.functions import dates, logic, numbers, texts
from sandbox.sql.functions.registry import Function

FUNCTIONS: dict[str, Function] = {
    f.name: f
    for group in (logic.FUNCTIONS, numbers.FUNCTIONS, texts.FUNCTIONS, dates.FUNCTIONS)
    for f in group
}
