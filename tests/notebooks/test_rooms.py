"""Hosted notebooks: the way in, what works there, and what two analysts can see of one another."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from sandbox.console.visit import form_token
from sandbox.doors.http import create_app, utc_now
from sandbox.doors.notebook_door import SESSION
from sandbox.doors.notebook_service import NotebookService, missing
from sandbox.errors import Code, Refusal
from sandbox.model import Person
from sandbox.notebooks.room import Sockets
from sandbox.store.audit import Event
from sandbox.store.search import LogFilter
from sandbox.store.sessions import Entrance
from tests.notebooks import intruder
from tests.notebooks.escape import attempted
from tests.notebooks.house import AIR, HEALTH, PEOPLE, POWER, House
from tests.notebooks.lab import DIED, Lab

ASK = """
answer = sandbox_client.connect(grant="G-FLIGHTS-DP").query(
    "SELECT origin, COUNT(*) AS n FROM flights GROUP BY origin", epsilon="0.1")
print(sorted(answer.arrow()["origin"].to_pylist()))
"""
MAGIC = "%%sql --grant G-FLIGHTS-DP --epsilon 0.1\nSELECT origin, COUNT(*) AS n FROM flights GROUP BY origin"


@pytest.fixture(scope="module")
def lab(house: House, service: NotebookService) -> Iterator[Lab]:
    assert missing() is None
    found = Lab(house, service, PEOPLE[AIR])
    yield found
    found.close()


@pytest.fixture(scope="module")
def kernel(lab: Lab) -> str:
    return lab.kernel()


def test_a_ticket_opens_the_notebooks_once(house: House, service: NotebookService, lab: Lab) -> None:
    assert lab.entered.status_code == 303 and lab.entered.headers["location"] == "/lab"
    kept = lab.entered.headers["set-cookie"]
    assert "HttpOnly" in kept and "SameSite=lax" in kept and lab.session not in kept
    page = lab.http.get("/lab")
    assert page.status_code == 200 and "JupyterLab" in page.text
    again = httpx.get(lab.way, headers={"accept": "text/html"})
    assert again.status_code == 303 and again.headers["location"].endswith("/console/notebooks")


def test_the_kernel_asks_the_gateway_as_its_analyst_without_a_token(lab: Lab, kernel: str) -> None:
    found = lab.run(kernel, "import sandbox_client\n" + ASK)
    assert found["error"] == "" and "['EWR', 'JFK', 'LGA']" in found["text"]
    shown = lab.run(kernel, MAGIC)["shown"]
    assert "EWR" in shown[0]["text/html"] and "±" in shown[0]["text/html"]
    assert "application/vnd.vegalite.v5+json" in shown[1]
    refused = lab.run(kernel, "%%sql --grant G-FLIGHTS-DP --epsilon 0.1\nSELECT * FROM flights")
    assert refused["error"] == "" and "DS-" in refused["shown"][0]["text/html"]


def test_files_stay_when_the_server_ends(lab: Lab, service: NotebookService) -> None:
    book = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    saved = lab.put("/api/contents/kept.ipynb", {"type": "notebook", "content": book})
    assert saved.status_code == 201, saved.text
    assert service.rooms.stop(lab.person) and service.rooms.standing(lab.person).figures is None
    assert lab.http.get("/api/contents/kept.ipynb").json()["name"] == "kept.ipynb"
    assert service.rooms.standing(lab.person).figures is not None


def test_nobody_comes_in_without_a_session_of_this_door(
    house: House, service: NotebookService, lab: Lab
) -> None:
    for cookie in ("", "guess", lab.session):
        found = httpx.get(f"{lab.origin}/api/contents", headers={"cookie": f"{SESSION}={cookie}"})
        assert found.status_code == 401 and "DS-801" in found.text, cookie
    address = f"{lab.origin.replace('http', 'ws')}/api/events/subscribe"
    evil, own = Origin("http://evil.example"), Origin(lab.origin)
    for origin, cookie in ((evil, lab.cookie), (None, lab.cookie), (own, lab.session)):
        with pytest.raises(InvalidStatus) as refused:
            connect(address, origin=origin, additional_headers={"cookie": f"{SESSION}={cookie}"})
        assert refused.value.response.status_code == 403


def test_a_form_of_another_origin_is_refused(lab: Lab) -> None:
    for origin in ("http://evil.example", "null", "http://127.0.0.1"):
        found = lab.post("/api/kernels", {"name": "sandbox"}, origin=origin)
        assert found.status_code == 400 and "DS-803" in found.text


def test_whoever_asks_no_queries_has_no_notebooks(house: House, service: NotebookService) -> None:
    bureau = Lab(house, service, Person("监管员", "auditor", "bureau"))
    found = bureau.http.get("/lab")
    assert found.status_code == 403 and "DS-802" in found.text
    bureau.close()


def test_pages_load_nothing_from_elsewhere_and_our_cookies_stay_outside(lab: Lab, kernel: str) -> None:
    found = lab.http.get("/lab")
    said = found.headers["content-security-policy"]
    assert "default-src 'self'" in said and "frame-ancestors 'self'" in said and "https:" not in said
    text = {"type": "file", "format": "text", "content": "<script>1</script>"}
    assert lab.put("/api/contents/page.html", text).status_code == 201
    page = lab.http.get("/files/page.html", headers={"referer": f"{lab.origin}/lab"})
    assert page.status_code == 200 and "sandbox allow-scripts" in page.headers["content-security-policy"]
    assert all(SESSION not in cookie for cookie in found.headers.get_list("set-cookie"))


def test_the_line_of_who_has_no_account_any_more_is_dead(house: House, service: NotebookService) -> None:
    lab = Lab(house, service, Person("leaver", "analyst", PEOPLE[AIR].organisation))
    kernel = lab.kernel()
    assert (
        lab.run(kernel, "import sandbox_client\nprint(len(sandbox_client.connect().catalog()))")["error"]
        == ""
    )
    with service.line(lab.person, path := house.home.path / "l.sock"):
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, base_url="http://localhost") as line:
            assert line.get("/v1/catalog").status_code == 200
            (token,) = house.accounts.tokens(lab.person.name)
            house.accounts.revoke(token.id, utc_now())
            assert line.get("/v1/catalog").status_code == 401
    assert lab.http.get("/api").status_code == 401  # the browser's session went back to that token
    service.rooms.stop(lab.person)
    lab.close()


def test_signing_out_at_the_console_ends_the_notebooks_session(
    house: House, service: NotebookService
) -> None:
    lab = Lab(house, service, PEOPLE[AIR])
    assert lab.http.get("/api").status_code == 200
    house.accounts.sessions.end(lab.session, utc_now())
    assert lab.http.get("/api").status_code == 401
    assert house.accounts.sessions.who(lab.cookie, Entrance.NOTEBOOKS, utc_now()) is None
    lab.close()


def test_two_analysts_have_nothing_in_common(house: House, service: NotebookService, lab: Lab) -> None:
    other = Lab(house, service, PEOPLE[POWER], "zh")
    lab.put("/api/contents/mine.txt", {"type": "file", "format": "text", "content": "mine"})
    names = {entry["name"] for entry in other.http.get("/api/contents").json()["content"]}
    assert "mine.txt" not in names
    kernel = other.kernel()
    assert kernel not in {k["id"] for k in lab.http.get("/api/kernels").json()}
    crossed = other.run(kernel, "import sandbox_client\n" + ASK)
    assert crossed["error"] == "Refusal"  # the other's grant, asked through one's own socket
    seen = other.run(
        kernel,
        "import os; print(os.listdir('/home'), len([p for p in os.listdir('/proc') if p.isdigit()]) < 6)",
    )
    assert "['analyst'] True" in seen["text"]
    assert {PEOPLE[AIR].name, PEOPLE[POWER].name} <= set(service.rooms.people())
    assert service.rooms.stop(PEOPLE[POWER])
    other.close()


def test_no_probe_from_a_kernel_gets_out(house: House, service: NotebookService) -> None:
    found = attempted(house, service)
    assert len(found) == len(intruder.PROBES) and not [(name, got) for name, got in found if got is not None]


def test_the_console_shows_the_way_in_and_ends_the_server(house: House, service: NotebookService) -> None:
    token = house.token(HEALTH)
    session = house.accounts.sessions.begin(token, utc_now())
    app = create_app(house.gateway, house.accounts, lodging=service.door)

    def asked(method: str, path: str, **rest: Any) -> httpx.Response:
        async def one() -> httpx.Response:
            headers = {"cookie": f"ds_session={session}", "accept-language": "en"}
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1", headers=headers
            ) as http:
                return await http.request(method, path, **rest)

        return asyncio.run(one())

    page = asked("GET", "/console/notebooks").text
    assert "not running" in page
    (way,) = re.findall(r'href="(http://127.0.0.1:\d+/enter\?ticket=[\w-]+)"', page)
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        assert "JupyterLab" in browser.get(way).text
    assert "MB" in asked("GET", "/console/notebooks").text
    assert asked("POST", "/console/notebooks/stop", data={"csrf": form_token(session)}).status_code == 303
    assert PEOPLE[HEALTH].name not in service.rooms.people()


FILL = """
import time
for i in range(40):
    with open(f"{i}.bin", "wb") as file:
        file.write(bytes(1 << 20))
time.sleep(60)
"""
TAKE = "import time\ntaken = bytearray(700 << 20)\ntime.sleep(60)"


@pytest.mark.parametrize(("code", "limits"), [(FILL, {"disk_mb": 16}), (TAKE, {"memory_mb": 512})])
def test_who_takes_more_than_their_share_loses_the_kernel_and_no_file(
    house: House, code: str, limits: dict[str, Any]
) -> None:
    settings = replace(house.home.settings, notebooks=replace(house.home.settings.notebooks, **limits))
    with closing(house.hosting(replace(house.home, settings=settings))) as service:
        lab = Lab(house, service, Person(f"greedy-{min(limits)}", "analyst", PEOPLE[AIR].organisation))
        kernel = lab.kernel()
        lab.put("/api/contents/kept.txt", {"type": "file", "format": "text", "content": "kept"})
        assert lab.run(kernel, code)["error"] == DIED
        assert lab.http.get("/api/contents/kept.txt").json()["content"] == "kept"
        entered = house.gateway.log(lab.person, LogFilter(kind=Event.NOTEBOOK)).entries
        assert json.loads(entered[0].payload)["what"] == min(limits).partition("_")[0]
        for entry in lab.http.get("/api/contents").json()["content"]:
            if entry["name"].endswith(".bin"):
                assert lab.delete(f"/api/contents/{entry['name']}").status_code == 204
        assert lab.run(lab.kernel(), "print(1)")["text"] == "1\n"
        lab.close()


def test_a_path_too_long_for_sockets_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = tmp_path / ("x" * 100)
    far.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(far))
    with pytest.raises(Refusal) as caught:
        Sockets(None)
    assert caught.value.code is Code.NOTEBOOKS and not list(far.iterdir())


def test_no_more_run_than_may_however_many_come_at_once(house: House) -> None:
    settings = replace(house.home.settings, notebooks=replace(house.home.settings.notebooks, most=1))
    for name in ("one", "two", "three"):
        house.accounts.issue(Person(name, "analyst", PEOPLE[AIR].organisation), "t", utc_now())
    with closing(house.hosting(replace(house.home, settings=settings))) as service:

        def came(name: str) -> bool:
            try:
                service.rooms.visit(Person(name, "analyst", PEOPLE[AIR].organisation), "en")
            except Refusal as refusal:
                return "as many run as may" not in refusal.reasons[0].what("en")
            return True

        with ThreadPoolExecutor(3) as crowd:
            assert sum(crowd.map(came, ["one", "two", "three"])) == 1
        (name,) = service.rooms.people()
        assert came(name)  # whose room runs comes back to it


def test_the_room_of_who_is_disabled_ends(house: House, service: NotebookService) -> None:
    lab = Lab(house, service, Person("fired", "analyst", PEOPLE[AIR].organisation))
    lab.kernel()
    assert lab.person.name in service.rooms.people()
    bureau = Person("zhao", "bureau", "数据局")
    house.accounts.issue(bureau, "t", utc_now())
    house.gateway.people.disable(bureau, "fired")
    deadline = time.monotonic() + 30
    while lab.person.name in service.rooms.people():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    lab.close()


def test_nobody_comes_in_while_the_service_ends(house: House) -> None:
    service, last = house.hosting(house.home), Person("last", "analyst", PEOPLE[AIR].organisation)
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(service.rooms.visit, last, "en")
        while "last" not in service.rooms._doors:
            time.sleep(0.001)
        service.rooms.close()
        trouble = coming.exception()
    assert trouble is None or (isinstance(trouble, Refusal) and trouble.code is Code.NOTEBOOKS)
    assert service.rooms.people() == ()
    with pytest.raises(Refusal) as caught:
        service.rooms.visit(last, "en")
    assert caught.value.code is Code.NOTEBOOKS and service.rooms.people() == ()
    service.close()
