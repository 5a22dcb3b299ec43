"""Whose token or session this is, for every door; and an end to guessing from one address.

Invariants: who showed a valid token lately is never held up by what others try from the same address; a
wrong token costs its address one try of a bounded stock, and an address without tries is refused before the
store is asked.  What is remembered is bounded, holds no token (its SHA-256 alone), and dies with the process.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from starlette.requests import HTTPConnection

from sandbox.errors import Code, refuse
from sandbox.model import Person
from sandbox.store.accounts import Accounts
from sandbox.store.credentials import digest
from sandbox.store.log.desk import Desk
from sandbox.store.sessions import Entrance

TRIES: Final = 20
"""Wrong tokens in a row that an address may show."""
AGAIN: Final = dt.timedelta(seconds=3)
"""After how long it has one more."""
Key = TypeVar("Key")
Kept = TypeVar("Kept")

REMEMBERED: Final = 10_000
"""Addresses, and tokens, of which something is known: the latest."""


@dataclass(slots=True)
class Stock:
    """Tries left, and when that was counted."""

    left: float
    counted: dt.datetime


class Reception:
    """Receives people at all doors of one gateway."""

    def __init__(self, accounts: Accounts, desk: Desk, clock: Callable[[], dt.datetime]) -> None:
        self.sessions = accounts.sessions
        self._accounts = accounts
        self._desk = desk
        self._clock = clock
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._stocks: OrderedDict[str, Stock] = OrderedDict()
        self._lock = threading.Lock()

    def who(self, token: str, address: str) -> Person | None:
        """The person whose token this is, entered in the log; ``None`` for a token that is not valid.

        ``address``: where it came from.  Refuses TRIES where too many wrong ones came from there.
        """
        return self._received(token, address, self._accounts.who)

    def visitor(self, secret: str, address: str, entrance: Entrance = Entrance.CONSOLE) -> Person | None:
        """The person whose session this is at a browser's door; otherwise as ``who``."""
        return self._received(secret, address, lambda s, now: self.sessions.who(s, entrance, now))

    def person(self, name: str) -> Person | None:
        """The person of this name, entered in the log; ``None`` if they have no token in use."""
        person = self._accounts.person(name, self._clock())
        self._desk.came(person)
        return person

    def _received(
        self, token: str, address: str, known: Callable[[str, dt.datetime], Person | None]
    ) -> Person | None:
        now, place = self._clock(), _place(address)
        kept = digest(token)
        with self._lock:
            if kept not in self._known and self._left(place, now) < 1:
                raise refuse(Code.TRIES)
        person = known(token, now)
        with self._lock:
            if person is None:
                self._known.pop(kept, None)
                self._stocks[place] = Stock(self._left(place, now) - 1, now)
                _bound(self._stocks, place)
            else:
                self._known[kept] = None
                _bound(self._known, kept)
        self._desk.came(person)
        return person

    def _left(self, place: str, now: dt.datetime) -> float:
        stock = self._stocks.get(place)
        if stock is None:
            return TRIES
        grown = max(dt.timedelta(), now - stock.counted) / AGAIN  # a clock that jumps back gives nothing
        return min(TRIES, stock.left + grown)


def caller(request: HTTPConnection) -> str:
    """The address that a request came from; behind a proxy, the one that the server was told to believe."""
    return "" if request.client is None else request.client.host


def _bound(kept: OrderedDict[Key, Kept], latest: Key) -> None:
    """``latest`` becomes the last to be forgotten; the first go, where too many are remembered."""
    kept.move_to_end(latest)
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)


def _place(address: str) -> str:
    """Who shares their tries: an address, or the 64 bits of IPv6 that one house is given."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((int(found), 128), strict=False).supernet(new_prefix=64))
