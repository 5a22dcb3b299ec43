"""Sentences in both languages, and which of them is shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

Lang = Literal["zh", "en"]
LANG_VARIABLE: Final = "SANDBOX_LANG"


@dataclass(frozen=True, slots=True)
class Words:
    """One sentence, in Chinese and in English."""

    zh: str
    en: str

    def say(self, lang: Lang) -> str:
        """The sentence in this language."""
        return self.zh if lang == "zh" else self.en


def words(told: Mapping[str, str]) -> Words:
    """A sentence as the gateway sends it."""
    return Words(told["zh"], told["en"])


def chosen(lang: str | None = None) -> Lang:
    """The language asked for, else that of ``SANDBOX_LANG``, else Chinese.  Raises ``ValueError``."""
    asked = lang or os.environ.get(LANG_VARIABLE) or "zh"
    for known in get_args(Lang):
        if asked == known:
            return "zh" if asked == "zh" else "en"
    raise ValueError(f"lang is zh or en, not {asked!r} / 语言应为 zh 或 en")
