"""Histograms by bands of a declared range: their groups are known, empty ones included."""

from __future__ import annotations

import math

import pytest

from sandbox.catalogue import Kind
from sandbox.errors import Code, Refusal
from tests.support.plans import planned


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("floor(fee / 100) * 100", [float(v) for v in range(-100, 1001, 100)]),
        ("floor(fee / 100)", [float(v) for v in range(-1, 11)]),
        ("(n // 500) * 500", [-1000, -500, 0, 500, 1000]),
        ("round(fee, -3)", [-1000.0, 0.0, 1000.0, 2000.0]),
        ("floor(n / 1000) * -1000", [1000.0, 0.0, -1000.0]),
        ("floor(fee / 100) + n * 1000", None),
        ("floor(fee)", None),
        ("floor(big / 10)", None),
        ("n", None),
    ],
)
def test_bands_of_a_declared_range_are_known(key: str, values: list[float] | None) -> None:
    release = planned(f"SELECT {key} AS b, COUNT(*) FROM claim GROUP BY 1").priced[0].release
    if values is None:
        assert release.selection is not None
        return
    domain = release.keys[0].domain
    assert domain is not None
    assert release.selection is None
    assert list(domain) == [*values, None]
    assert all(math.copysign(1, v) == 1 for v in domain if v == 0 and isinstance(v, float))
    assert release.keys[0].facts.kind is (Kind.INTEGER if isinstance(values[0], int) else Kind.DOUBLE)


def test_histogram_is_refused_with_what_to_write() -> None:
    with pytest.raises(Refusal) as caught:
        planned("SELECT histogram(fee) FROM claim")
    (reason,) = caught.value.reasons
    assert reason.code is Code.FUNCTION
    assert "GROUP BY floor" in reason.now("en") and "GROUP BY floor" in reason.now("zh")
