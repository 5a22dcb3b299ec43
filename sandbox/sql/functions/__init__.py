"""The scalar functions that a query may use: ``FUNCTIONS`` by canonical name."""

from sandbox.sql.functions import dates, logic, numbers, periods, pieces, reals, texts
from sandbox.sql.functions.registry import Function

FUNCTIONS: dict[str, Function] = {
    f.name: f for group in (logic, numbers, reals, texts, pieces, dates, periods) for f in group.FUNCTIONS
}
