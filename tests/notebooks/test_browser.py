"""JupyterLab in a real browser, behind the gateway: ask, see, interrupt, restart, save, and come back."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from sandbox.doors.http import utc_now
from sandbox.doors.notebook_service import NotebookService
from sandbox.model import Person
from tests.browser.visitor import chromium
from tests.notebooks.house import AIR, PEOPLE, House

QUERY = "%%sql --grant G-FLIGHTS-DP --epsilon 0.1\nSELECT origin, COUNT(*) AS n FROM flights GROUP BY origin"
WORDS = {"zh": ("内核", "数据沙箱", "| 空闲"), "en": ("Kernel", "Data Sandbox", "| Idle")}
WAIT_MS = 60_000


def enter(page: Page, house: House, service: NotebookService, lang: str, person: Person) -> None:
    """From the console's link to JupyterLab."""
    token = house.accounts.issue(person, "browser", utc_now())
    session = house.accounts.sessions.begin(token, utc_now())
    page.goto(service.door.ticket(session, "127.0.0.1", lang))
    expect(page.locator(".jp-MenuBar-item, .lm-MenuBar-item").first).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".lm-MenuBar-item", has_text=WORDS[lang][0])).to_be_visible(timeout=WAIT_MS)


def run(page: Page, code: str) -> None:
    """Write code into the last cell, and run it."""
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").last.click()
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_notebook_is_opened_asked_saved_and_found_again(house: House, lang: str) -> None:
    service = house.hosting()
    person = Person(f"browser-{lang}", "analyst", PEOPLE[AIR].organisation)
    outside: list[str] = []
    errors: list[str] = []

    def looked(request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            outside.append(request.url)

    with sync_playwright() as driver:
        page = chromium(driver).new_page()
        page.on("request", looked)
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        enter(page, house, service, lang, person)
        page.locator(".jp-LauncherCard", has_text=WORDS[lang][1]).first.click()
        expect(page.get_by_text(WORDS[lang][2])).to_be_visible(timeout=WAIT_MS)
        run(page, QUERY)
        expect(page.locator(".jp-OutputArea-output table")).to_contain_text("±", timeout=WAIT_MS)
        expect(page.locator(".jp-RenderedVegaCommon5 canvas")).to_be_visible()
        run(page, "import time\nwhile True: time.sleep(0.1)")
        page.get_by_text("[*]").wait_for()
        page.locator('[data-command="notebook:interrupt-kernel"]').click()
        expect(page.locator(".jp-OutputArea-output").last).to_contain_text("KeyboardInterrupt")
        page.locator('[data-command="notebook:restart-kernel"], [data-command*="restart"]').first.click()
        page.locator(".jp-Dialog .jp-mod-accept").click()
        expect(page.get_by_text(WORDS[lang][2])).to_be_visible(timeout=WAIT_MS)
        run(page, "print('again')")
        expect(page.locator(".jp-OutputArea-output").last).to_contain_text("again", timeout=WAIT_MS)
        page.locator('[data-command="docmanager:save"]').first.click()
        page.locator(".jp-Dialog .jp-mod-accept").click()  # it asks for a name the first time
        expect(page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0)
        service.close()  # as when the gateway is started again
        service = house.hosting()
        page = page.context.browser.new_page() if page.context.browser else page
        enter(page, house, service, lang, person)
        page.locator(".jp-DirListing-item", has_text="Untitled.ipynb").first.dblclick()
        expect(page.locator(".jp-OutputArea-output table").first).to_contain_text("±", timeout=WAIT_MS)
        assert outside == [] and [e for e in errors if "Content Security Policy" in e] == []
        # The console's cookie, and this door's own, are nothing to scripts here.
        assert "ds_" not in page.evaluate("document.cookie")
    service.close()
