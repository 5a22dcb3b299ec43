"""Identities at a provider: one person's at most, and gone when taken away."""

from __future__ import annotations

import datetime as dt

from sandbox.model import Person
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from sandbox.store.identities import Identity

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
ANN, BO = Person("ann", "analyst", "晋数金科"), Person("bo", "bureau", "大数据局")


def test_an_identity_is_one_persons(database: Database) -> None:
    accounts = Accounts(database)
    for person in (ANN, BO):
        accounts.issue(person, "first", NOW, NOW + dt.timedelta(days=1))
    found = accounts.identities
    one, other = Identity("https://id.example", "7"), Identity("https://other.example", "7")
    assert found.who(one) is None
    assert found.link(ANN, one, NOW) and found.link(ANN, one, NOW)
    assert not found.link(BO, one, NOW) and found.who(one) == ANN
    assert found.link(ANN, other, NOW + dt.timedelta(seconds=1)) and found.of("ann") == (one, other)
    assert found.of("bo") == () and found.remove("bo") == 0
    late = NOW + dt.timedelta(days=2)
    assert accounts.person("ann", late) == ANN and accounts.person("bo", late) is None
    assert found.remove("ann") == 2 and found.who(one) is None
    assert found.link(BO, one, NOW) and found.remove_all() == 1
