"""``make browser``: every journey in each language, in a real browser; one line of JSON at the end."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import sync_playwright

from tests.browser.house import House, house
from tests.browser.journeys import JOURNEYS, PLAIN
from tests.browser.visitor import Judge, Lang, Visitor, chromium, visitor

SCREENS: Final = Path("docs/screens")
NARROW: Final = {"java_script_enabled": False, "viewport": {"width": 390, "height": 800}}


def travel(
    home: House, langs: Sequence[Lang], journeys: Sequence[Callable[[Visitor], None]], screens: Path | None
) -> dict[str, Any]:
    """Every journey in each language; what failed, and what was found on the way."""
    judge, failed = Judge(), []
    ways: list[tuple[Callable[[Visitor], None], dict[str, Any]]] = [(j, {}) for j in journeys]
    ways += [(j, NARROW) for j in PLAIN]
    with sync_playwright() as driver:
        browser = chromium(driver)
        for lang in langs:
            for journey, context in ways:
                # Without scripts a page cannot be judged by one either.
                mine = Judge(axe="") if context else judge
                v = visitor(browser, home, mine, lang, None if context else screens, **context)
                try:
                    journey(v)
                except Exception as error:
                    failed.append(f"{journey.__name__} ({lang}): {type(error).__name__}: {error}")
                v.page.context.close()
                judge.violations += [] if mine is judge else mine.violations
        browser.close()
    return {
        "journeys": len(ways) * len(langs),
        "failed": failed + judge.troubles,
        "axe_violations": judge.violations,
        "pages": judge.pages,
    }


def main() -> int:
    """Build a home, visit it, say what was found."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--langs", default="zh,en")
    langs: list[Lang] = ["zh" if word == "zh" else "en" for word in told.parse_args().langs.split(",")]
    SCREENS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, house(Path(folder) / "home") as home:
        found = travel(home, langs, JOURNEYS, SCREENS)
    for line in (*found["failed"], *found["axe_violations"]):
        print(line, file=sys.stderr)
    numbers = {name: len(v) if isinstance(v, list) else v for name, v in found.items()}
    print(json.dumps(numbers))
    return 1 if numbers["failed"] or numbers["axe_violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
