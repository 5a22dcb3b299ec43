"""What tests of the console share: signing in without a browser, and reading pages strictly."""

from __future__ import annotations

import datetime as dt
import re
from html.parser import HTMLParser
from typing import Any, Protocol

import httpx

from sandbox.console.visit import form_token
from sandbox.model import Person
from sandbox.store.accounts import Accounts

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)' autofocus='",
    "</textarea><script>alert(1)</script>",
    "</title><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}{% raw %}",
    "\u202e<b>反转</b>",
)
"""Texts that would run, or steer, where they are not escaped."""


class Sender(Protocol):
    """A client of the application."""

    headers: dict[str, str]

    def request(self, method: str, path: str, **rest: Any) -> httpx.Response: ...


class Browser:
    """One person at the console."""

    def __init__(self, client: Sender, accounts: Accounts, person: Person, now: dt.datetime) -> None:
        self._client = client
        self.person = person
        self.session = accounts.sessions.begin(accounts.issue(person, "console", now), now)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Open a page."""
        return self._send("GET", path, headers)

    def post(self, path: str, fields: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        """Submit a form, with its token unless it names another."""
        given = {"csrf": form_token(self.session), **(fields or {})}
        return self._send("POST", path, headers, data=given)

    def _send(self, method: str, path: str, headers: dict[str, str], **rest: Any) -> httpx.Response:
        bearing = {"cookie": f"ds_session={self.session}", "accept-language": "en"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.request(method, "/console" + path, headers=bearing | named, **rest)


class Marks(HTMLParser):
    """The elements of a page, and what breaks our rules in it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """What people read."""
        return re.sub(r"\s+", " ", " ".join(self.words))

    def wrong(self) -> list[str]:
        """Scripts and styles within the page, handlers, addresses elsewhere."""
        found = []
        for tag, attrs in self.tags:
            if tag in ("style", "iframe", "object", "embed", "base", "img"):
                found.append(tag)
            if tag == "script" and not str(attrs.get("src", "")).startswith("/console/static/"):
                found.append("script")
            found += [f"{tag} {name}" for name in attrs if name.startswith("on") or name == "style"]
            for name in ("href", "src", "action", "formaction", "hx-get", "hx-post"):
                address = attrs.get(name)
                if address is not None and not address.startswith(("/console", "#", "?")):
                    found.append(f"{tag} {name}={address}")
        return found

    def unlabelled(self) -> list[str]:
        """Fields that no label names."""
        named = {attrs.get("for") for tag, attrs in self.tags if tag == "label"}
        fields = [a for tag, a in self.tags if tag in ("input", "select", "textarea")]
        return [str(a) for a in fields if a.get("type") != "hidden" and a.get("id") not in named]
