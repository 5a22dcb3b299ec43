"""What to read of the audit log, from the words of a command line or an address."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

from sandbox.errors import Code, Lang, Refusal, refuse
from sandbox.store.audit import Event
from sandbox.store.search import MOST_ENTRIES, LogFilter

TEXTS: Final = ("person", "organisation", "grant", "dataset", "decision", "code", "text")
NAMES: Final = (*TEXTS, "kind", "least", "most", "since", "until", "after", "before", "limit")
"""Every filter, by the name it has at each door."""

MOST: Final = 2**62
"""The largest number that a filter takes."""


def log_filter(given: Mapping[str, str]) -> LogFilter:
    """The filter that ``given`` describes.  Refuses with ``Code.REQUEST`` what it cannot read."""
    unknown = [name for name in given if name not in NAMES]
    if unknown:
        raise _refused(unknown[0], f"one of: {', '.join(NAMES)}", f"可用：{'、'.join(NAMES)}")
    if "after" in given and "before" in given:
        raise _refused("before", "after or before, not both", "after 与 before 只能给出其一")
    texts = {name: given[name] for name in TEXTS if name in given}
    return LogFilter(
        person=texts.get("person"),
        organisation=texts.get("organisation"),
        grant=texts.get("grant"),
        dataset=texts.get("dataset"),
        decision=texts.get("decision"),
        code=texts.get("code"),
        text=texts.get("text"),
        kind=_kind(given.get("kind")),
        since=_time("since", given.get("since")),
        until=_time("until", given.get("until")),
        least=_number("least", given.get("least"), MOST),
        most=_number("most", given.get("most"), MOST),
        after=_number("after", given.get("after"), MOST),
        before=_number("before", given.get("before"), MOST),
        limit=_number("limit", given.get("limit"), MOST_ENTRIES) or 100,
    )


def number(name: str, text: str) -> int:
    """A whole number such as an entry's.  Refuses with ``Code.REQUEST``."""
    return _number(name, text, MOST) or 0


def lang(text: str) -> Lang:
    """A language.  Refuses with ``Code.REQUEST``."""
    if text == "zh":
        return "zh"
    if text == "en":
        return "en"
    raise _refused("lang", "zh or en", "zh 或 en")


def _kind(text: str | None) -> Event | None:
    if text is None:
        return None
    try:
        return Event(text)
    except ValueError:
        listed = ", ".join(e.value for e in Event)
        raise _refused("kind", f"one of: {listed}", f"可用：{listed}") from None


def _time(name: str, text: str | None) -> dt.datetime | None:
    """ISO 8601; a time without a zone, or a day, is UTC."""
    if text is None:
        return None
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise _refused(
            name, "a time such as 2025-07-01T08:00:00Z", "时间，例如 2025-07-01T08:00:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _number(name: str, text: str | None, most: int) -> int | None:
    if text is None:
        return None
    least = 1 if name == "limit" else 0
    plain = text.isascii() and text.isdigit() and len(text) < 20
    if not plain or not least <= int(text) <= most:
        raise _refused(name, f"a whole number from {least} to {most}", f"{least} 到 {most} 的整数")
    return int(text)


def _refused(name: str, en: str, zh: str) -> Refusal:
    return refuse(Code.REQUEST, ascii(name[:40]), en, zh)
