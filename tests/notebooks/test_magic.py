"""``%%sql`` in a real kernel, over the Unix socket, as in an analyst's box."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel
from sandbox_client.chart import MIME
from sandbox_client.client import GRANT_VARIABLE, SOCKET_VARIABLE
from sandbox_client.words import LANG_VARIABLE

from sandbox.doors.notebook_service import NotebookService
from tests.notebooks.house import AIR, PEOPLE, House

WAIT_S = 120


class Kernel:
    """A kernel and its one client."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client

    def run(self, code: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What the kernel replies, and the contents of its outputs."""
        found: list[dict[str, Any]] = []

        def keep(message: dict[str, Any]) -> None:
            if message["msg_type"] in ("display_data", "execute_result", "stream", "error"):
                found.append(message["content"])

        reply = self.client.execute_interactive(code, output_hook=keep, timeout=WAIT_S)
        return reply["content"], found

    def complete(self, code: str) -> list[str]:
        """What the kernel offers at the end of this code."""
        told = self.client.complete(code, reply=True, timeout=WAIT_S)["content"]
        matches: list[str] = told["matches"]
        return matches


@pytest.fixture(scope="module")
def kernel(
    house: House, service: NotebookService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kernel]:
    path = tmp_path_factory.mktemp("box") / "gateway"
    patch = pytest.MonkeyPatch()
    house.token(AIR)
    with service.line(PEOPLE[AIR], path), patch.context() as setting:
        setting.setenv(SOCKET_VARIABLE, str(path))
        setting.setenv(GRANT_VARIABLE, AIR)
        setting.setenv(LANG_VARIABLE, "zh")
        setting.setenv("IPYTHONDIR", str(path.parent / "ipython"))
        manager, client = start_new_kernel(kernel_name="python3", startup_timeout=WAIT_S)
        opened = Kernel(manager, client)
        try:
            assert opened.run("%load_ext sandbox_client")[0]["status"] == "ok"
            yield opened
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            manager.cleanup_resources()


def test_a_cell_shows_table_and_chart_and_keeps_the_answer(kernel: Kernel) -> None:
    kernel.run("m = 2")
    cell = "%%sql --epsilon 0.02 --out flown\nSELECT origin, COUNT(*) AS n FROM flights WHERE month = :m GROUP BY origin"
    reply, outputs = kernel.run(cell)
    assert reply["status"] == "ok", outputs
    table, chart = (output["data"] for output in outputs)
    assert "±" in table["text/html"] and "<th>origin</th>" in table["text/html"]
    assert (
        "ε = 0.02" in table["text/html"]
        and "剩余" in table["text/html"]
        and "script" not in table["text/html"]
    )
    points = chart[MIME]["data"]["values"]
    assert {p["label"] for p in points} == {"EWR", "JFK", "LGA"}
    assert all(p["low"] < p["value"] < p["high"] for p in points)
    assert kernel.run("assert len(flown.pandas()) == 3")[0]["status"] == "ok"


def test_a_refusal_is_a_cell_and_no_traceback(kernel: Kernel) -> None:
    reply, outputs = kernel.run("%%sql --out gone\nSELECT nothing FROM flights")
    assert reply["status"] == "ok"
    assert "DS-202" in outputs[0]["data"]["text/html"] and "没有此列" in outputs[0]["data"]["text/html"]
    assert "Traceback" not in str(outputs)
    assert kernel.run("assert gone is None")[0]["status"] == "ok"


def test_a_refusal_of_the_api_shows_no_frames(kernel: Kernel) -> None:
    ask = "import sandbox_client\nsandbox_client.connect().query('SELECT nothing FROM flights')"
    reply, outputs = kernel.run(ask)
    assert reply["status"] == "error"
    told = "\n".join(outputs[0]["traceback"])
    assert told.startswith("DS-202") and "File" not in told


def test_explaining_shows_the_price(kernel: Kernel) -> None:
    _, outputs = kernel.run("%%sql --explain --epsilon 0.1\nSELECT COUNT(*) AS n FROM flights")
    assert "ε = 0.1" in outputs[0]["data"]["text/html"]


@pytest.mark.parametrize(
    ("head", "said"),
    [("--epsilom 1", "epsilom"), ("--out 1x", "1x"), ("", ":unset")],
)
def test_mistakes_are_errors_of_the_cell(kernel: Kernel, head: str, said: str) -> None:
    reply, _ = kernel.run(f"%%sql {head}\nSELECT COUNT(*) AS n FROM flights WHERE month = :unset")
    assert reply["status"] == "error" and said in reply["evalue"]


def test_granted_names_are_completed_in_sql_cells_alone(kernel: Kernel) -> None:
    assert "origin" in kernel.complete("%%sql\nSELECT ori")
    assert "f.carrier" in kernel.complete("%%sql\nSELECT f.carr")
    assert "flights" in kernel.complete("%%sql\nSELECT COUNT(*) FROM fl")
    assert "SELECT" in kernel.complete("%%sql\nsel")
    assert "--epsilon" in kernel.complete("%%sql --eps")
    assert "origin" not in kernel.complete("x = ori")
    kernel.run("%sql_refresh")
    assert "origin" in kernel.complete("%%sql --grant G-FLIGHTS-DP\nSELECT ori")


def test_values_from_the_data_are_text_in_html(kernel: Kernel) -> None:
    ask = "%%sql --epsilon 0.01\nSELECT '<img src=x onerror=alert(1)>' AS \"<b>\", COUNT(*) AS n FROM flights"
    _, outputs = kernel.run(ask)
    html = outputs[0]["data"]["text/html"]
    assert "<img" not in html and "<b>" not in html and "&lt;img" in html
