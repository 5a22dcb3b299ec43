"""The client: ask, price, and look at what is open and what is left."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, Self

import pyarrow as pa

from sandbox_client.answer import Answer, Explained, answer, explained
from sandbox_client.binding import bound
from sandbox_client.dbapi import Connection
from sandbox_client.transport import Transport, over_socket, over_url
from sandbox_client.words import Lang, chosen

SOCKET_VARIABLE: Final = "SANDBOX_GATEWAY_SOCKET"
URL_VARIABLE: Final = "SANDBOX_URL"
TOKEN_VARIABLE: Final = "SANDBOX_TOKEN"
GRANT_VARIABLE: Final = "SANDBOX_GRANT"

Amount = str | int | float | Decimal
"""A decimal; ``within`` takes a percentage as text too (``"5%"``)."""


class Client:
    """One gateway, one person.  ``grant`` is what is asked under unless a call says otherwise."""

    def __init__(self, transport: Transport, grant: str | None = None) -> None:
        self._transport = transport
        self.grant = grant

    @property
    def lang(self) -> Lang:
        """The language of what people read: ``zh`` or ``en``."""
        return self._transport.lang

    @lang.setter
    def lang(self, asked: str) -> None:
        self._transport.lang = chosen(asked)

    def query(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        grant: str | None = None,
        epsilon: Amount | None = None,
        within: Amount | None = None,
    ) -> Answer:
        """Ask, spending ``epsilon`` (else what ``within`` needs, else the grant's largest per query).

        ``:name`` in the text takes a value of ``parameters``.  Raises ``Refusal`` and ``Lost``; a broken
        connection is tried again under the same key, which is charged once.
        """
        body = self._body(sql, parameters, grant, epsilon, within)
        stream = self._transport.arrow("/v1/queries", body | {"idempotency_key": uuid.uuid4().hex})
        try:
            found = answer(stream, self.lang)
        except (pa.ArrowInvalid, KeyError, TypeError, ValueError):
            raise self._transport.strange() from None
        return found if found.price is None else replace(found, left=self._left(found.grant))

    def explain(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        grant: str | None = None,
        epsilon: Amount | None = None,
        within: Amount | None = None,
    ) -> Explained:
        """What that query would cost and how good it would be; spends nothing."""
        body = self._body(sql, parameters, grant, epsilon, within)
        return explained(self._transport.post("/v1/explain", body), self.lang)

    def catalog(self) -> tuple[Mapping[str, Any], ...]:
        """The grants with the tables and columns that each opens."""
        return tuple(self._transport.get("/v1/catalog")["grants"])

    def budget(self) -> tuple[Mapping[str, Any], ...]:
        """What is spent and what is left of each account."""
        return tuple(self._transport.get("/v1/budget")["balances"])

    def dbapi(self) -> Connection:
        """A DB-API 2.0 connection, such as ``pandas.read_sql`` takes."""
        return Connection(self)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _left(self, grant: str) -> tuple[Mapping[str, Any], ...]:
        return tuple(b for b in self.budget() if str(b["account"]).startswith(f"{grant}/"))

    def _body(
        self,
        sql: str,
        parameters: Mapping[str, object] | None,
        grant: str | None,
        epsilon: Amount | None,
        within: Amount | None,
    ) -> dict[str, object]:
        """The request.  Amounts go as text, which the gateway judges literally."""
        under = grant or self.grant
        if under is None:
            raise ValueError("name a grant / 请指明授权：grant=…")
        body: dict[str, object] = {
            "sql": sql if parameters is None else bound(sql, parameters),
            "grant": under,
        }
        given = {"epsilon": epsilon, "within": within}
        return body | {name: str(amount) for name, amount in given.items() if amount is not None}


def connect(
    url: str | None = None,
    token: str | None = None,
    *,
    socket: str | None = None,
    grant: str | None = None,
    lang: str | None = None,
) -> Client:
    """A client of the gateway at ``url`` with a token, or at a Unix socket, which needs none.

    What is not given is taken from ``SANDBOX_GATEWAY_SOCKET``, ``SANDBOX_URL``, ``SANDBOX_TOKEN``,
    ``SANDBOX_GRANT`` and ``SANDBOX_LANG``.  Raises ``ValueError`` if that names no gateway.
    """
    language, under = chosen(lang), grant or os.environ.get(GRANT_VARIABLE)
    path = socket or (os.environ.get(SOCKET_VARIABLE) if url is None else None)
    if path:
        return Client(over_socket(path, language), under)
    address, secret = url or os.environ.get(URL_VARIABLE), token or os.environ.get(TOKEN_VARIABLE)
    if not address or not secret:
        raise ValueError("give url and token, or socket / 请给出网关地址与令牌，或套接字")
    return Client(over_url(address, secret, language), under)
