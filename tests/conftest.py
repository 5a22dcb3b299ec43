"""Rules that hold for every test.

Under ``CI=true`` a skipped test is a failure: a test that did not run has shown nothing.
Generated tests have no deadline per example, since the machine is shared; under CI they are also
the same at every run (the ``ci`` profile that Hypothesis ships).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from sandbox.engine.found import available
from sandbox.engine.layers import Floor, Layer, level
from sandbox.home import FLOOR_VARIABLE

if TYPE_CHECKING:
    from tests.support.postgres import Server

CI = os.environ.get("CI", "").lower() in {"1", "true"}
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def _judged(report: Report) -> Report:
    """The report, failed if it says skipped.  An expected failure (``xfail``) did run."""
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure under CI: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _judged((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _judged((yield))


def pytest_configure() -> None:
    """Where the machine cannot build the box that settings ask for, queries run below it, and it is said."""
    missing = set(Layer) - available()
    if level(available()) is not Floor.BOX:
        os.environ.setdefault(FLOOR_VARIABLE, level(available()))
    if missing:
        print(f"workers run without: {', '.join(sorted(missing))}")


MEASURED = ("unit", "property", "spec", "escape", "audits", "tpch")
"""Folders whose tests count for coverage; in the others all is run through doors, and tracing costs more than it tells."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run whole gateways are not traced."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] not in MEASURED:
            item.add_marker(pytest.mark.no_cover)


settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if CI else "here")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A real PostgreSQL server, one in each test process."""
    from tests.support.postgres import running

    with running() as found:
        yield found
