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
from sandbox.store.accounts import Accounts, Bearer
from sandbox.store.credentials import digest
from sandbox.store.log.desk import Desk
from sandbox.store.passwords import LOCKED
from sandbox.store.sessions import Entrance

TRIES: Final = 20
"""Wrong tokens in a row that an address may show."""
AGAIN: Final = dt.timedelta(seconds=3)
"""After how long it has one more."""
Key = TypeVar("Key")
Kept = TypeVar("Kept")
Found = TypeVar("Found", Person, Bearer)

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

    def bearer(self, token: str, address: str) -> Bearer | None:
        """Whose token this is, entered in the log, and what it opens; ``None`` for one that is not valid.

        ``address``: where it came from.  Refuses TRIES where too many wrong ones came from there.
        """
        found = self._received(token, address, self._accounts.bearer)
        self._desk.came(None if found is None else found.person)
        return found

    def visitor(self, secret: str, address: str, entrance: Entrance = Entrance.CONSOLE) -> Person | None:
        """The person whose session this is at a browser's door; otherwise as ``who``."""
        found = self._received(secret, address, lambda s, now: self.sessions.who(s, entrance, now))
        self._desk.came(found)
        return found

    def enter(self, name: str, password: str, code: str, address: str) -> Person | None:
        """Who comes in with a password and a code, entered in the log; otherwise as ``bearer``.

        One that locks an account is entered.
        """
        passwords, now = self._accounts.passwords, self._clock()
        with self._lock:
            self._free(_place(address), now)
        found = passwords.enter(name, password, code, now)
        if found is None:
            with self._lock:
                self._lost(_place(address), now)
            local = passwords.local(name, now)
            if local is not None and local.locked == now + LOCKED:
                self._desk.locked(name)
        self._desk.came(found)
        return found

    def local(self, name: str) -> bool:
        """Whether this person comes in with a password: a token of theirs then opens no session."""
        return self._accounts.passwords.local(name, self._clock()) is not None

    def person(self, name: str) -> Person | None:
        """The person of this name, entered in the log; ``None`` if they have no way to come in."""
        person = self._accounts.person(name, self._clock())
        self._desk.came(person)
        return person

    def _received(
        self, token: str, address: str, known: Callable[[str, dt.datetime], Found | None]
    ) -> Found | None:
        now, place = self._clock(), _place(address)
        kept = digest(token)
        with self._lock:
            if kept not in self._known:
                self._free(place, now)
        found = known(token, now)
        with self._lock:
            if found is None:
                self._known.pop(kept, None)
                self._lost(place, now)
            else:
                self._known[kept] = None
                _bound(self._known, kept)
        return found

    def _free(self, place: str, now: dt.datetime) -> None:
        """Refuses TRIES where none is left."""
        if self._left(place, now) < 1:
            raise refuse(Code.TRIES)

    def _lost(self, place: str, now: dt.datetime) -> None:
        """One try fewer."""
        self._stocks[place] = Stock(self._left(place, now) - 1, now)
        _bound(self._stocks, place)

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
