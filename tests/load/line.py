"""A person's connection to a gateway: HTTP/1.1 kept open, made anew where it broke, next to nothing around it."""

from __future__ import annotations

import http.client
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

TIMEOUT_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.  ``status`` 0: nothing did."""

    status: int
    body: bytes = b""

    def json(self) -> dict[str, Any]:
        """The body, where it is an object."""
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found

    @property
    def code(self) -> str:
        """The refusal's code; empty where it is an answer, or no problem of ours."""
        with suppress(ValueError, AssertionError):
            return str(self.json().get("code", ""))
        return ""


class Line:
    """Asks one thing after another; for one thread."""

    def __init__(self, port: int, token: str = "") -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str) -> Reply:
        """What stands at an address."""
        return self._ask("GET", path, None, {})

    def post(self, path: str, body: dict[str, Any] | bytes | None = None) -> Reply:
        """Ask with a body of JSON, or of any bytes that are said to be."""
        sent = json.dumps(body).encode() if isinstance(body, dict) else body
        kind = {} if sent is None else {"content-type": "application/json"}
        return self._ask("POST", path, sent, kind)

    def query(self, sql: str, grant: str, **more: str) -> Reply:
        """Ask a question under a grant."""
        return self.post("/v1/queries", {"sql": sql, "grant": grant, **more})

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        for last in (False, True):
            fresh = self._http.sock is None
            try:
                self._http.request(method, path, body, self.headers | headers)
                reply = self._http.getresponse()
                return Reply(reply.status, reply.read())
            except (OSError, http.client.HTTPException):
                self._http.close()
                if fresh or last:  # one that was kept open may have been closed while nobody spoke
                    break
        return Reply(0)
