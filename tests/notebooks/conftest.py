"""One house for all tests of the client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sandbox_client import Client, connect

from sandbox.doors.notebook_service import NotebookService
from tests.notebooks.house import AIR, House


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    built = House(tmp_path_factory.mktemp("notebooks") / "home")
    yield built
    built.close()


@pytest.fixture(scope="session")
def service(house: House) -> Iterator[NotebookService]:
    hosting = house.hosting()
    yield hosting
    hosting.close()


@pytest.fixture
def air(house: House) -> Iterator[Client]:
    with connect(house.url, house.token(AIR), grant=AIR, lang="en") as client:
        yield client
