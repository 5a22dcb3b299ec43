"""A fresh store per test, closed at its end: each test over SQLite, and again over a real PostgreSQL server.

A test that asks for the file's ``path`` is about SQLite alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.store.database import Database
from tests.support.postgres import Server

DIALECTS = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    known = DIALECTS[:1] if "path" in metafunc.fixturenames else DIALECTS
    for name in {"place", "empty"} & set(metafunc.fixturenames):
        metafunc.parametrize(name, known, indirect=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store without entries is, or will be: what ``Database`` takes."""
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    found: Server = request.getfixturevalue("server")
    return found.store()


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where no store is yet."""
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    found: Server = request.getfixturevalue("server")
    return found.database()


@pytest.fixture
def database(place: str) -> Iterator[Database]:
    store = Database(place)
    yield store
    store.close()
