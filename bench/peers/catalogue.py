"""Who is compared, and on what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool.  ``name`` names its adapter and its requirements.  ``grant``: under which ours asks."""

    name: str
    title: str
    grant: str = ""


PEERS: Final = (
    Peer("smartnoise", "SmartNoise SQL"),
    Peer("qrlew", "Qrlew"),
    Peer("opendp_polars", "OpenDP Polars"),
    Peer("pipelinedp", "PipelineDP"),
    Peer("tumult", "Tumult Analytics"),
)
OURS: Final = Peer("ours", "Data Sandbox", "P-DP")
PURE: Final = Peer("ours_pure", "Data Sandbox, ε", "P-PURE")
"""Ours again, under a grant that spends epsilon as it stands (delta 0), as most peers do on one question."""
EXACT: Final = Peer("duckdb_exact", "DuckDB, exact")
"""Neither private nor a peer: the floor of time, and the truth.  It runs in our own environment."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question by its name in the adapters.  ``largest``: judged on the so many largest groups."""

    name: str
    title: str
    largest: tuple[int, ...] = ()


QUESTIONS: Final = (
    Question("count", "COUNT(*)"),
    Question("sum", "SUM by region (12 known)"),
    Question("avg", "AVG"),
    Question("units", "COUNT(DISTINCT unit)"),
    Question("cities", "COUNT by city (400, unknown keys)", (12, 40, 55)),
    Question("median", "MEDIAN"),
    Question("join", "SUM by band over a join of two protected tables by the unit"),
    Question("nested", "AVG over persons of each one's SUM"),
)
