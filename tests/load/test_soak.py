"""The soak in its short form; ``make soak MINUTES=60`` runs it at length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.load.gauge import Holding
from tests.load.soak import Soak, p99, soak

HELD = Holding(memory_mb=200.0, worker_mb=100.0, processes=9, threads=20, descriptors=50, spills=2)


def test_under_mixed_load_nothing_is_wrong_and_nothing_grows(tmp_path: Path) -> None:
    found = soak(tmp_path, 6, idle_s=1)
    assert found.wrong == []
    assert found.grown() == []
    assert found.errors == 0 and found.requests > 100
    assert {"DS-401", "DS-801"} & set(found.refused), "nobody did any harm"
    assert list(found.line()) == ["requests", "errors", "p99_idle_ms", "p99_load_ms", "memory_growth_mb"]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("memory_mb", replace(HELD, memory_mb=300.0)),
        ("descriptors", replace(HELD, descriptors=90)),
        ("threads", replace(HELD, threads=60)),
        ("processes", replace(HELD, processes=40)),
        ("spills", replace(HELD, spills=30)),
    ],
)
def test_what_grows_is_said(name: str, more: Holding) -> None:
    assert Soak(warm=HELD, end=HELD).grown() == []
    assert [words.partition(":")[0] for words in Soak(warm=HELD, end=more).grown()] == [name]


def test_p99_is_what_one_in_a_hundred_exceeds() -> None:
    assert p99([float(n) for n in range(100)]) == 99.0
    assert p99([float(n) for n in range(200)]) == 198.0
    assert p99([5.0]) == 5.0
