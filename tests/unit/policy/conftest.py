"""What the policy tests share: the examples of the policy handbook, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.policy.documents import Documents
from sandbox.policy.load import Source, read

EXAMPLES = Path(__file__).with_name("examples.yaml")


@pytest.fixture(scope="session")
def examples() -> str:
    """The handbook's examples: datasets med and power, a grant of each, and a product."""
    return EXAMPLES.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def documents(examples: str) -> Documents:
    """The examples, loaded."""
    return read([Source("examples.yaml", examples)]).documents
