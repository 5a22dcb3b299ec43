"""A fresh store per test, closed at its end: each test over SQLite, and again over a real PostgreSQL server.

A test that asks for the file's ``path`` is about SQLite alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.store.database import Database
from tests.support.postgres import Server, running

DIALECTS = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        known = DIALECTS[:1] if "path" in metafunc.fixturenames else DIALECTS
        metafunc.parametrize("place", known, indirect=True)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The server of this test process."""
    with running() as found:
        yield found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store is: what ``Database`` takes."""
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    found: Server = request.getfixturevalue("server")
    return found.store()


@pytest.fixture
def database(place: str) -> Iterator[Database]:
    store = Database(place)
    yield store
    store.close()
