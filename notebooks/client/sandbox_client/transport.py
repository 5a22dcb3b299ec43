"""To the gateway and back: one request over a URL or a Unix socket, tried again when the line breaks.

A query bears an idempotency key, so that trying again is the same request: it has the same rows and is
charged once.  Nothing else that the client sends changes anything.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx

from sandbox_client.refusals import Error, lost, refusal
from sandbox_client.words import Lang, Words

TRIES: Final = 4
"""How often a request is sent before the line is given up."""
PAUSE_S: Final = 0.2
"""Before the second try; doubled before each further one."""
UNFINISHED: Final = "DS-504"
"""The first try with this idempotency key has no end on record, or not yet."""
_CONNECT_S: Final = 10.0


class Transport:
    """One gateway, by URL and token or by Unix socket."""

    def __init__(self, http: httpx.Client, lang: Lang) -> None:
        self._http = http
        self.lang: Lang = lang

    def get(self, path: str) -> Any:
        """The JSON at an address.  Raises ``Refusal`` and ``Lost``."""
        return self._json(self._send("GET", path, None))

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """The JSON that answers a body.  Raises ``Refusal`` and ``Lost``."""
        return self._json(self._send("POST", path, body))

    def arrow(self, path: str, body: Mapping[str, object]) -> bytes:
        """The Arrow stream that answers a body.  Raises ``Refusal`` and ``Lost``."""
        return self._send("POST", f"{path}?format=arrow", body).content

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, method: str, path: str, body: Mapping[str, object] | None) -> httpx.Response:
        """Send, again after a break.  A retry that meets its own first try waits for that one's end."""
        broken = False
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE_S * 2 ** (attempt - 1))
            try:
                response = self._http.request(method, path, json=body)
            except httpx.TransportError:
                broken = True
                continue
            if response.status_code == httpx.codes.OK:
                return response
            trouble = self._problem(response)
            waits = broken and any(reason.code == UNFINISHED for reason in trouble.reasons)
            if not waits or attempt == TRIES - 1:
                raise trouble
        raise lost(
            Words("无法连接网关", "the gateway cannot be reached"),
            Words("请检查地址与网络后重试", "check its address and the network, and try again"),
            self.lang,
        ) from None

    def _problem(self, response: httpx.Response) -> Error:
        wait = response.headers.get("retry-after", "")
        try:
            seconds = int(wait) if wait.isdecimal() else None
            return refusal(response.json(), response.status_code, self.lang, seconds)
        except (ValueError, KeyError, TypeError):
            return self.strange()

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except json.JSONDecodeError:
            raise self.strange() from None

    def strange(self) -> Error:
        """What answered does not speak as a gateway does."""
        return lost(
            Words("应答的不是数据沙箱网关", "what answered is no Data Sandbox gateway"),
            Words("请检查网关地址", "check the gateway's address"),
            self.lang,
        )


def over_url(url: str, token: str, lang: Lang) -> Transport:
    """A gateway by its URL, as the person whose token this is."""
    headers = {"authorization": f"Bearer {token}"}
    http = httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(None, connect=_CONNECT_S))
    return Transport(http, lang)


def over_socket(path: str, lang: Lang) -> Transport:
    """A gateway by its Unix socket, which itself says who asks: no token is sent."""
    way = httpx.HTTPTransport(uds=path)
    timeout = httpx.Timeout(None, connect=_CONNECT_S)
    return Transport(httpx.Client(base_url="http://gateway", transport=way, timeout=timeout), lang)
