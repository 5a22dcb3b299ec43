"""Saved views of the log: filters under a name, of one person's own or shared by the bureau.

Invariant: a view only holds filters; who reads by it sees what they may see and no more.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, or_, select, update

from sandbox.errors import Code, refuse
from sandbox.store.canonical import canonical
from sandbox.store.database import Database, insert_new, micros
from sandbox.store.schema import log_views

SHARED: Final = ""
"""The owner of what the bureau shares."""

MOST_VIEWS: Final = 100
"""Views that one owner may keep."""


@dataclass(frozen=True, slots=True)
class View:
    """Filters by their names at the doors; ``owner`` is a person, or ``SHARED``."""

    owner: str
    name: str
    filters: Mapping[str, str]


class Views:
    """The saved views of everybody."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, view: View, time: dt.datetime) -> None:
        """Keep a view, in place of one of its name.

        Refuses ``REQUEST`` for a name that is empty, too long or unprintable, and beyond ``MOST_VIEWS``.
        """
        if not view.name.isprintable() or not 1 <= len(view.name) <= 60:
            hint, zh = "a name has 1 to 60 printable characters", "名称为 1 至 60 个可打印字符"
            raise refuse(Code.REQUEST, "the view's name", hint, zh)
        row = {"filters": canonical(dict(view.filters)), "time": micros(time)}
        key = {"owner": view.owner, "name": view.name}
        mine = (log_views.c.owner == view.owner, log_views.c.name == view.name)
        with self._database.write() as connection:
            if insert_new(connection, log_views, **key, **row):
                owned = select(log_views.c.name).where(log_views.c.owner == view.owner)
                if len(connection.execute(owned).all()) > MOST_VIEWS:
                    hint, zh = f"keep at most {MOST_VIEWS}; drop one", f"至多保存 {MOST_VIEWS} 个，请先删除"
                    raise refuse(Code.REQUEST, "the saved views", hint, zh)
            else:
                connection.execute(update(log_views).where(*mine).values(row))

    def seen_by(self, person: str) -> tuple[View, ...]:
        """The person's own views, then the shared ones, by name."""
        mine = or_(log_views.c.owner == person, log_views.c.owner == SHARED)
        wanted = select(log_views).where(mine).order_by(log_views.c.owner.desc(), log_views.c.name)
        with self._database.read() as connection:
            return tuple(View(r.owner, r.name, json.loads(r.filters)) for r in connection.execute(wanted))

    def find(self, person: str, name: str) -> View:
        """The person's view of this name, else the shared one.  Refuses ``NOT_FOUND``."""
        found = next((v for v in self.seen_by(person) if v.name == name), None)
        if found is None:
            raise refuse(Code.NOT_FOUND, f"view {name[:60]!a}")
        return found

    def drop(self, owner: str, name: str) -> None:
        """Forget a view.  Refuses ``NOT_FOUND``."""
        mine = delete(log_views).where(log_views.c.owner == owner, log_views.c.name == name)
        with self._database.write() as connection:
            if connection.execute(mine).rowcount != 1:
                raise refuse(Code.NOT_FOUND, f"view {name[:60]!a}")
