"""One person in a real browser: signs in, reads, submits; every page is judged on the way."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from playwright.sync_api import Browser, Page, Playwright

from tests.browser.house import House

AXE: Final = Path("sandbox/console/assets/node_modules/axe-core/axe.min.js")
Lang = Literal["zh", "en"]


def chromium(driver: Playwright) -> Browser:
    """The machine's own Chromium, without a window."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    return driver.chromium.launch(executable_path=found, args=["--no-sandbox"])


@dataclass
class Judge:
    """What was found wrong on pages: accessibility, errors that the browser printed."""

    axe: str = field(default_factory=lambda: AXE.read_text(encoding="utf-8") if AXE.exists() else "")
    violations: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    pages: int = 0

    def look(self, page: Page, name: str) -> None:
        """Judge a page by axe: all rules of WCAG 2.2 A and AA, and its best practices."""
        self.pages += 1
        if not self.axe:
            return
        page.evaluate(self.axe)
        found: Any = page.evaluate("axe.run(document)")
        self.violations += [
            f"{name}: {v['id']} {node['target']}" for v in found["violations"] for node in v["nodes"]
        ]


@dataclass
class Visitor:
    """A person at the console, in one language."""

    page: Page
    house: House
    judge: Judge
    lang: Lang
    screens: Path | None

    def t(self, zh: str, en: str) -> str:
        """The words of a page in this language."""
        return zh if self.lang == "zh" else en

    def sign_in(self, name: str) -> None:
        """From the door to the first page."""
        self.page.goto(self.house.address + "/")
        self.see("login")
        self.page.fill("#token", self.house.tokens[name])
        self.press("登录", "Sign in")

    def sign_out(self) -> None:
        """Back to the door."""
        self.press("退出", "Sign out")
        assert self.page.url.endswith("/login")

    def go(self, zh: str, en: str) -> None:
        """Follow the navigation."""
        self.page.get_by_role("navigation").first.get_by_role("link", name=self.t(zh, en), exact=True).click()

    def open(self, path: str) -> None:
        """Open an address of the console."""
        self.page.goto(self.house.address + path)

    def press(self, zh: str, en: str) -> None:
        """Press a button."""
        self.page.get_by_role("button", name=self.t(zh, en), exact=True).click()

    def write(self, sql: str) -> None:
        """Write a query: into the editor where there is one, else into the text area."""
        editor = self.page.locator("sql-editor .cm-content")
        if editor.count():
            editor.click()
            self.page.keyboard.press("Control+a")
            self.page.keyboard.insert_text(sql)
            self.page.keyboard.press("Escape")  # no completions wanted
        else:
            self.page.fill("#sql", sql)

    def reads(self, zh: str, en: str) -> None:
        """The page says this."""
        self.page.get_by_text(self.t(zh, en)).first.wait_for(timeout=20_000)

    def see(self, name: str) -> None:
        """Judge the page, and keep a picture of it."""
        self.judge.look(self.page, f"{name} ({self.lang})")
        wide = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        if wide > 0:
            self.judge.violations.append(f"{name} ({self.lang}): wider than the window by {wide} pixels")
        if self.screens is not None:
            self.page.screenshot(path=self.screens / f"{name}-{self.lang}.png", full_page=True)


def visitor(
    browser: Browser, house: House, judge: Judge, lang: Lang, screens: Path | None = None, **context: Any
) -> Visitor:
    """A new browser window, with nothing kept from another."""
    locale = "zh-CN" if lang == "zh" else "en-GB"
    given: dict[str, Any] = {
        "locale": locale,
        "viewport": {"width": 1280, "height": 800},
        "bypass_csp": False,
    }
    page = browser.new_context(**{**given, **context}).new_page()
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda error: judge.troubles.append(f"script: {error}"))
    page.on("console", lambda told: _heard(judge, told.type, told.text))
    return Visitor(page, house, judge, lang, screens)


def _heard(judge: Judge, kind: str, text: str) -> None:
    """The browser's own errors: what the policy blocked, what could not be loaded.  Refusals are meant."""
    if kind == "error" and "the server responded with a status of 4" not in text:
        judge.troubles.append(text)
