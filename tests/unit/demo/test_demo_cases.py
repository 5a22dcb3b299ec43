"""The cases kept beside the repository's policies come out as written, over the sources of the demo."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sandbox.demo.stock import DATASETS, POLICIES, stock
from sandbox.doors.cli import app
from sandbox.doors.terminal import Terminal
from sandbox.home import create_home
from sandbox.policy.cases import cases
from sandbox.policy.load import QUERIES_SUFFIX

FILES = sorted(POLICIES.rglob(f"*{QUERIES_SUFFIX}"))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``sandbox policy test`` says of all of them."""
    home = create_home(tmp_path_factory.mktemp("cases") / "home")
    stock(home, 1000, Terminal(("en",)))
    result = CliRunner().invoke(app, ["policy", "test", str(POLICIES), "--home", str(home.path), "--json"])
    said: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if said["passed"] == said["cases"] else 1)
    return said


def test_every_folder_has_cases_and_a_dataset_of_the_demo() -> None:
    holding = {path.parent.name for path in POLICIES.rglob("*.yaml")}
    assert {file.parent.name for file in FILES} == set(DATASETS) == holding


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.name))
def test_all_cases_come_out_as_written(told: dict[str, Any], file: Path) -> None:
    found = [o for o in told["outcomes"] if o["file"] == str(file)]
    assert [(o["line"], o["expected"], o["got"]) for o in found if not o["passed"]] == []
    assert len(found) == len(cases(file))


def test_none_is_left_out(told: dict[str, Any]) -> None:
    assert Counter(o["file"] for o in told["outcomes"]).keys() == {str(file) for file in FILES}
    assert told["cases"] == len(told["outcomes"]) == sum(len(cases(file)) for file in FILES)
