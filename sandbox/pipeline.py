"""The journey of a query, on one screen.

    parse -> resolve -> opinion -> authorize -> plan -> reserve -> execute -> protect -> release -> record

Between stages only frozen values pass.  Every exit is recorded: an intent before data is touched, an outcome
before an answer leaves, a refusal otherwise; each leaves with its receipt.  An unexpected error is a refusal.
"""

from __future__ import annotations

from sandbox.context import Context
from sandbox.errors import Code, Reason, Refusal
from sandbox.model import Answer, Explained, Refused, Request
from sandbox.stages import Clock, begin, prepare, priced_view, record, run


def query(request: Request, context: Context) -> Answer | Refused:
    """Answer, charge and log; or refuse with every reason."""
    clock = Clock()
    try:
        prepared = prepare(request, context, clock)  # parse ... plan: pure
        begun = begin(request, prepared, context, clock)  # intent and reservation: one commit
        answer = run(request, prepared, begun, context, clock)  # outcome and kept answer: one commit
        return record.proved(answer, context)  # nothing leaves without its receipt
    except Refusal as refusal:
        reasons = refusal.reasons
    except Exception:  # whatever it was: nothing leaves, and nothing of it is shown
        reasons = (Reason(Code.INTERNAL),)
    clock.until_tick(context.clock_ms)
    return record.refused(request, context, reasons)


def explain(request: Request, context: Context) -> Explained | Refused:
    """Say what the query would cost and how good it would be; spend nothing, touch no data."""
    clock = Clock()
    try:
        return record.explained(
            request, context, priced_view(request, prepare(request, context, clock), context)
        )
    except Refusal as refusal:
        return record.refused(request, context, refusal.reasons)
    except Exception:
        return record.refused(request, context, (Reason(Code.INTERNAL),))
