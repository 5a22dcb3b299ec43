"""The people of the demo: who they are, and a fresh token for each."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from sandbox.home import Home
from sandbox.model import Person, Words
from sandbox.store.accounts import Accounts
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database

BUREAU: Final = Person("bureau", "bureau", "bureau")
SECOND: Final = Person("bureau-2", "bureau", "bureau")
OWNER: Final = Person("owner", "owner", "省医疗保障局")
AVIATION: Final = Person("operator-air", "operator", "晋航数据服务有限公司")
CREDIT: Final = Person("operator-credit", "operator", "晋数金科有限公司")
HEALTH: Final = Person("operator-health", "operator", "山西健康数据运营有限公司")
ANALYST: Final = Person("analyst", "analyst", "山西健康数据运营有限公司")

CAST: Final[tuple[tuple[Person, Words], ...]] = (
    (BUREAU, Words("数据主管部门", "the bureau")),
    (SECOND, Words("数据主管部门的另一人", "a second person of the bureau")),
    (OWNER, Words("数源单位", "the owner of the data")),
    (AVIATION, Words("运营单位，授权 G-FLIGHTS-DP", "an operator, grant G-FLIGHTS-DP")),
    (CREDIT, Words("运营单位，授权 G-2025-022", "an operator, grant G-2025-022")),
    (HEALTH, Words("运营单位，授权 G-2025-017", "an operator, grant G-2025-017")),
    (ANALYST, Words("分析师，授权 G-2025-017", "an analyst, grant G-2025-017")),
)


@dataclass(frozen=True, slots=True)
class Login:
    """A person, what they are here, and the token that opens the HTTP door for them."""

    person: Person
    part: Words
    token: str


def logins(home: Home) -> tuple[Login, ...]:
    """Register everyone, with a token of one day each; logged."""
    now = dt.datetime.now(dt.UTC)
    database = Database(home.store)
    try:
        accounts, audit = Accounts(database), AuditLog(database)
        found = []
        with database.write():
            for person, part in CAST:
                token = accounts.issue(person, "demo", now, now + dt.timedelta(days=1))
                audit.append(
                    Event.ACCOUNT,
                    time=now,
                    person=BUREAU.name,
                    organisation=BUREAU.organisation,
                    decision="done",
                    payload={"added": person.name, "role": person.role, "of": person.organisation},
                )
                found.append(Login(person, part, token))
        return tuple(found)
    finally:
        database.close()
