"""What HTTP sends: answers in three forms, problems, and the headers that go with them.

``Server-Timing`` names only stages that end before data is touched, in steps of 10 ms: what a later stage
took may depend on the data.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from sandbox.doors import forms, wire
from sandbox.errors import Code, Reason, refuse
from sandbox.model import Answer, Receipt

JSON: Final = "application/json"
CSV: Final = "text/csv"
ARROW: Final = "application/vnd.apache.arrow.stream"
PROBLEM: Final = "application/problem+json"

TIMED: Final = ("parse", "resolve", "simplify", "opinion", "authorize", "plan", "reserve")
"""The stages that ``Server-Timing`` may name."""

SECURITY: Final = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
"""On every response.  Nothing here is a page: nothing may load, frame or keep it."""


class Form(StrEnum):
    """The forms of an answer."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"


_MEDIA: Final = {JSON: Form.JSON, CSV: Form.CSV, ARROW: Form.ARROW}


def form(asked: str | None, accept: str) -> Form:
    """The form to answer in: ``format`` if given, else the best of ``Accept``, else JSON.

    Refuses with ``Code.FORMAT`` what we do not have.
    """
    if asked is not None:
        if asked not in set(Form):
            raise refuse(Code.FORMAT, ascii(asked[:40]))
        return Form(asked)
    offers = sorted(_offers(accept), key=lambda offer: -offer[0])
    wanted = [offer for _, media in offers for offer in _match(media)]
    if offers and not wanted:
        raise refuse(Code.FORMAT, ascii(accept[:80]))
    return wanted[0] if wanted else Form.JSON


def _offers(accept: str) -> list[tuple[float, str]]:
    """Quality and media type of each part of ``Accept`` that is wanted at all (RFC 9110, 12.5.1)."""
    found: list[tuple[float, str]] = []
    for part in filter(None, (p.strip() for p in accept.split(","))):
        media, *parameters = (p.strip().lower() for p in part.split(";"))
        quality = _quality(parameters)
        if quality > 0:
            found.append((quality, media))
    return found


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _match(media: str) -> list[Form]:
    if media in ("*/*", "application/*"):
        return [Form.JSON]
    if media == "text/*":
        return [Form.CSV]
    return [_MEDIA[media]] if media in _MEDIA else []


def answer(found: Answer, wanted: Form) -> Response:
    """An answer in the form asked for."""
    headers = _headers(found)
    match wanted:
        case Form.JSON:
            return Response(wire.answer_text(found), media_type=JSON, headers=headers)
        case Form.CSV:
            media = "text/csv; charset=utf-8; header=present"
            return Response(forms.csv(found), headers=headers | {"content-type": media})
        case Form.ARROW:
            return Response(forms.arrow(found), media_type=ARROW, headers=headers)


def json(body: wire.Json) -> Response:
    """A JSON object."""
    return Response(wire.text(body), media_type=JSON)


TRY_AGAIN_S: Final = 60
"""When an address from which too many wrong credentials came may try again."""


def problem(
    reasons: tuple[Reason, ...],
    *,
    request: str = "",
    incident: str = "",
    now: dt.datetime | None = None,
    proof: Receipt | None = None,
) -> Response:
    """A refusal as problem details; ``now`` sets ``Retry-After`` where waiting helps."""
    body = wire.problem(reasons, request, incident, proof)
    response = Response(wire.text(body), status_code=reasons[0].code.status, media_type=PROBLEM)
    if reasons[0].code is Code.WHO:
        response.headers["www-authenticate"] = "Bearer"
    wait = _wait(reasons[0].code, now or dt.datetime.now(dt.UTC))
    if wait is not None:
        response.headers["retry-after"] = str(wait)
    return response


SOON_S: Final = 5
"""When to come back to a full line or a closing service: a constant, which tells nothing of others' load."""


def _wait(code: Code, now: dt.datetime) -> int | None:
    """Whole seconds after which asking again may help, where it may."""
    if code is Code.QUOTA:
        return _until_tomorrow(now)
    if code is Code.TRIES:
        return TRY_AGAIN_S
    return SOON_S if code in (Code.BUSY, Code.CLOSING) else None


def _until_tomorrow(now: dt.datetime) -> int:
    """Whole seconds until the next UTC day, when daily quotas begin anew; at least 1."""
    passed = now.astimezone(dt.UTC)
    since = dt.timedelta(hours=passed.hour, minutes=passed.minute, seconds=passed.second)
    return int((dt.timedelta(days=1) - since).total_seconds())


def _headers(found: Answer) -> dict[str, str]:
    headers = {
        "x-sandbox-request": _plain(found.request),
        "x-sandbox-grant": _plain(found.grant),
        "x-sandbox-mode": _plain(found.mode),
        "x-sandbox-snapshot": _plain(found.snapshot),
        "x-sandbox-receipt": str(found.receipt),
        "x-sandbox-guarantee": _plain(" ".join(w.en for w in found.guarantee)),
    }
    if found.price is not None:
        cost = found.price
        told = {"epsilon": wire.epsilon(cost.epsilon), "nano": cost.nano, "measure": cost.measure}
        facts = "; ".join(f"{name}={value}" for name, value in told.items())
        headers["x-sandbox-price"] = _plain(f"{facts}; free={str(cost.free).lower()}")
    timing = server_timing(found.timings)
    if timing:
        headers["server-timing"] = timing
    return headers


def _plain(text: str) -> str:
    """A header value: printable ASCII, the rest percent-encoded as UTF-8."""
    return quote(text, safe=" !#$&'()*+,/:;=?@[]^_`{|}~<>\"-.", errors="backslashreplace").strip()


def server_timing(timings: Iterable[tuple[str, float]]) -> str:
    """The header's value from stages and their seconds; later stages left out, rounded to 10 ms."""
    return ", ".join(f"{name};dur={round(s * 100) * 10}" for name, s in timings if name in TIMED)


def only(found: Mapping[str, str], *names: str) -> None:
    """Refuse with ``Code.REQUEST`` a query parameter that the address does not have."""
    for name in found:
        if name not in names:
            known = ", ".join(names) or "none"
            hint = f"parameters of this address: {known}"
            raise refuse(Code.REQUEST, f"unknown parameter {name[:40]!a}", hint, f"此地址的参数：{known}")
