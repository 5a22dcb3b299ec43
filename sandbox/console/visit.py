"""One request to the console: who came, in which language, with which form, and how to answer.

Invariants: a form counts only with the token that the page bore, which hangs on the visitor's own
credential; an address to go on to is one of ours.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.console.locale import Locale
from sandbox.errors import Code, Reason, refuse
from sandbox.model import Person
from sandbox.policy.scopes import Scope

if TYPE_CHECKING:
    from sandbox.console.app import Console

HOME: Final = "/console"
LONGEST_FORM: Final = 96 * 1024
MOST_FIELDS: Final = 200


@dataclass(frozen=True, slots=True)
class Visit:
    """See the module.  ``credential``: what proved who the visitor is; ``scope``: what that opens."""

    console: Console
    request: Request
    person: Person
    locale: Locale
    credential: str
    fields: Mapping[str, str]
    scope: Scope = Scope.ALL

    @property
    def now(self) -> dt.datetime:
        """The time."""
        return self.console.clock()

    @property
    def csrf(self) -> str:
        """What every form of this visitor bears."""
        return form_token(self.credential)

    @property
    def partial(self) -> bool:
        """Whether a script asks for a part of a page."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def here(self) -> str:
        """Where the visitor is, to come back to; after a form, its page."""
        url = self.request.url
        return ours(url.path + (f"?{url.query}" if url.query and self.request.method == "GET" else ""))

    @property
    def lightly(self) -> bool:
        """Whether a token alone let the visitor in, without a second factor."""
        sessions = self.console.reception.sessions
        return "authorization" in self.request.headers or sessions.token(self.credential) is not None

    def checked(self) -> None:
        """Refuse a form that one of our pages did not make for this visitor."""
        if not hmac.compare_digest(self.csrf.encode(), self.field("csrf").encode("utf-8", "replace")):
            hint, zh = "open the page again and submit from there", "请重新打开页面后再提交"
            raise refuse(Code.REQUEST, "the form is not from this session", hint, zh)

    def field(self, name: str) -> str:
        """A field of the form, trimmed; "" where it is missing."""
        return self.fields.get(name, "").strip()

    def asked(self, name: str) -> str:
        """A parameter of the address; "" where it is missing."""
        return self.request.query_params.get(name, "").strip()

    def page(self, template: str, status: int = 200, **facts: object) -> Response:
        """A page, or a part of one."""
        return HTMLResponse(self.console.render(template, self, facts), status)

    def refused(self, reasons: tuple[Reason, ...], request: str = "", incident: str = "") -> Response:
        """A refusal, as a page or as a part of one."""
        template = "parts/refusal.html" if self.partial else "refusal.html"
        # A script swaps in what came with 200 alone; whoever reads the page sees the codes.
        status = 200 if self.partial else reasons[0].code.status
        return self.page(template, status, reasons=reasons, asked=request, incident=incident)

    def go(self, path: str, **parameters: str) -> Response:
        """Go on to another page of the console."""
        return RedirectResponse(address(path, **parameters), 303)


def lasting(visit: Visit) -> dt.timedelta | None:
    """The days in a form; ``None`` where none are given.  Refuses ``REQUEST``."""
    text = visit.field("days")
    if text and not (text.isascii() and text.isdigit() and len(text) < 6):
        raise refuse(Code.REQUEST, "the days", "a whole number", "请填写整数")
    return dt.timedelta(days=int(text)) if text else None


Answering = Callable[[Visit], Response]


def address(path: str, **parameters: str) -> str:
    """The address of a page of the console."""
    query = urlencode({name: value for name, value in parameters.items() if value})
    return f"{HOME}{path}?{query}" if query else HOME + path


def form_token(credential: str) -> str:
    """The token of forms: known to whoever holds the credential, which cannot be told from it."""
    return hashlib.sha256(b"console form " + credential.encode("utf-8", "replace")).hexdigest()


def ours(path: str) -> str:
    """``path`` if it leads to a page of the console, else the console's first page."""
    plain = path.isascii() and path.isprintable() and "\\" not in path and "//" not in path
    return path if plain and (path == HOME or path.startswith((HOME + "/", HOME + "?"))) else HOME + "/"


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form.  Refuses what is no form, repeats a field, or is longer than forms are."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise refuse(Code.REQUEST, "the content type", "submit the page's form", "请通过页面表单提交")
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > LONGEST_FORM:
            raise refuse(
                Code.TOO_LARGE, "the form", f"at most {LONGEST_FORM} bytes", f"至多 {LONGEST_FORM} 字节"
            )
    try:
        pairs = parse_qsl(
            data.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise refuse(Code.REQUEST, "its form", "submit the page's form", "请通过页面表单提交") from None
    if len(dict(pairs)) != len(pairs):
        raise refuse(Code.REQUEST, "a field is given twice", "give each once", "每个字段只能出现一次")
    return dict(pairs)
