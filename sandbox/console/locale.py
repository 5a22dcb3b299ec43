"""How words, numbers and times are written in each language.

Texts stand in pairs where they are used (``say.t("中文", "English")``), so that none can be missing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from babel import Locale as Rules
from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_compact_decimal, format_decimal, format_percent

from sandbox.errors import Lang

ZONE: Final = dt.timezone(dt.timedelta(hours=8), "UTC+8")
"""Times are shown as China Standard Time, in both languages; machines get UTC."""

_RULES: Final = {"zh": Rules.parse("zh_CN"), "en": Rules.parse("en_GB")}


class Bilingual(Protocol):
    """A sentence or a title in both languages."""

    @property
    def zh(self) -> str:
        """In Chinese."""
        ...

    @property
    def en(self) -> str:
        """In English."""
        ...


@dataclass(frozen=True, slots=True)
class Locale:
    """One language's ways."""

    lang: Lang

    @property
    def tag(self) -> str:
        """The language as HTML names it."""
        return "zh-CN" if self.lang == "zh" else "en"

    @property
    def other(self) -> Lang:
        """The other language."""
        return "en" if self.lang == "zh" else "zh"

    def t(self, zh: str, en: str) -> str:
        """The text in this language."""
        return zh if self.lang == "zh" else en

    def say(self, words: Bilingual) -> str:
        """Words in this language."""
        return self.t(words.zh, words.en)

    def count(self, number: int, zh: str, one: str, other: str) -> str:
        """A number of things: ``{}`` in the chosen form stands for the number."""
        form = self.t(zh, one if _RULES["en"].plural_form(number) == "one" else other)
        return form.replace("{}", self.number(number))

    def number(self, value: float | Decimal) -> str:
        """A number, at most three decimals."""
        return format_decimal(value, locale=_RULES[self.lang])

    def short(self, value: float) -> str:
        """A number in few characters: 12万, 120K."""
        return format_compact_decimal(value, locale=_RULES[self.lang], fraction_digits=1)

    def epsilon(self, value: float) -> str:
        """An amount of epsilon, to four significant digits."""
        return f"{value:.4g}"

    def delta(self, value: float) -> str:
        """A delta in one digit and a power of ten."""
        return f"{value:.0e}".replace("e-0", "e-") if value else "0"

    def percent(self, part: float) -> str:
        """A share, to a tenth of a percent."""
        return format_percent(part, "#,##0.0%", locale=_RULES[self.lang])

    def time(self, moment: dt.datetime) -> str:
        """A moment, to the second, as tables show it."""
        pattern = self.t("yyyy-MM-dd HH:mm:ss", "d MMM yyyy, HH:mm:ss")
        return format_datetime(moment.astimezone(ZONE), pattern, locale=_RULES[self.lang])

    def day(self, day: dt.date) -> str:
        """A day."""
        return format_date(day, self.t("yyyy-MM-dd", "d MMM yyyy"), locale=_RULES[self.lang])

    def today(self, moment: dt.datetime) -> str:
        """The day of a moment, with its weekday."""
        pattern = self.t("y年M月d日 EEEE", "EEEE d MMMM y")
        return format_datetime(moment.astimezone(ZONE), pattern, locale=_RULES[self.lang])

    def ago(self, moment: dt.datetime, now: dt.datetime) -> str:
        """How long ago a moment was."""
        return format_timedelta(moment - now, add_direction=True, locale=_RULES[self.lang])


def spoken(cookie: str, accepted: str) -> Lang:
    """The language of a reader: as chosen, else as their browser asks, else Chinese."""
    if cookie in ("zh", "en"):
        return "zh" if cookie == "zh" else "en"
    for part in accepted.lower().split(","):
        tag = part.partition(";")[0].strip().partition("-")[0]
        if tag in ("zh", "en"):
            return "zh" if tag == "zh" else "en"
    return "zh"
