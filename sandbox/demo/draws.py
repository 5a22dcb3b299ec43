"""Random draws that depend on their place alone, and fast text columns.

Every draw is a function of ``(seed, stream, index)`` through the SplitMix64 finaliser
(Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014), so a table comes
out the same whatever the size of the chunks it is written in.  This is demo data: no secret
and no noise is ever drawn here.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_Words = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def _mix(words: _Words) -> _Words:
    """The SplitMix64 finaliser, element by element (wrapping arithmetic is meant)."""
    words = (words ^ (words >> np.uint64(30))) * _MIX_1
    words = (words ^ (words >> np.uint64(27))) * _MIX_2
    return words ^ (words >> np.uint64(31))


@dataclass(frozen=True, slots=True)
class Draws:
    """A family of independent streams; each draw is fixed by seed, stream name and index."""

    seed: int

    def words(self, stream: str, index: Ints) -> _Words:
        """64 uniform bits per index."""
        first = (self.seed * 0x1_0000_0000 + zlib.crc32(stream.encode())) % 2**64
        start = np.array([first], dtype=np.uint64)
        return _mix(_mix(start + _GOLDEN) + (index.astype(np.uint64) + np.uint64(1)) * _GOLDEN)

    def uniform(self, stream: str, index: Ints) -> Floats:
        """Uniform on the open interval (0, 1)."""
        top = (self.words(stream, index) >> np.uint64(11)).astype(np.float64)
        return np.asarray((top + 0.5) / 2.0**53)

    def normal(self, stream: str, index: Ints) -> Floats:
        """Standard normal by Box and Muller (1958)."""
        radius = np.sqrt(-2.0 * np.log(self.uniform(stream + "/r", index)))
        return np.asarray(radius * np.cos(2.0 * np.pi * self.uniform(stream + "/a", index)))

    def below(self, stream: str, index: Ints, bound: int) -> Ints:
        """Uniform integers from 0 up to, not including, ``bound``."""
        return np.asarray(self.words(stream, index) % np.uint64(bound)).astype(np.int64)

    def pick(self, stream: str, index: Ints, weights: Sequence[float]) -> Ints:
        """Positions drawn in proportion to ``weights``."""
        edges = np.cumsum(np.asarray(weights, dtype=np.float64))
        found = np.searchsorted(edges, self.uniform(stream, index) * edges[-1], side="right")
        return np.asarray(np.minimum(found, len(edges) - 1), dtype=np.int64)

    def pareto(self, stream: str, index: Ints, alpha: float) -> Floats:
        """Lomax draws (a Pareto tail from zero): few indices get much, most get little."""
        return np.asarray(self.uniform(stream, index) ** (-1.0 / alpha) - 1.0)


def zipf(size: int, exponent: float = 1.0) -> tuple[float, ...]:
    """Zipf weights 1, 2^-s, 3^-s, … for ``pick``."""
    return tuple(float((rank + 1) ** -exponent) for rank in range(size))


def labels(values: Sequence[str], positions: Ints) -> pa.StringArray:
    """The text at each position, as a plain string column."""
    return pa.array(values, pa.string()).take(pa.array(positions))


def digits(numbers: Ints, width: int) -> NDArray[np.uint8]:
    """The last ``width`` decimal digits of each number as values 0-9, most significant first."""
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    return (numbers[:, None] // powers % 10).astype(np.uint8)


def ascii_column(codes: NDArray[np.uint8]) -> pa.StringArray:
    """Rows of ASCII codes (one row a value, all of one width) as a string column, without a loop."""
    count, width = codes.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    data = np.ascontiguousarray(codes)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data.tobytes()))


def numbered(prefix: str, numbers: Ints, width: int) -> pa.StringArray:
    """Identifiers such as ``P00000042``: a prefix and a number of fixed width."""
    head = np.broadcast_to(np.frombuffer(prefix.encode("ascii"), dtype=np.uint8), (len(numbers), len(prefix)))
    return ascii_column(np.hstack([head, digits(numbers, width) + ord("0")]).astype(np.uint8))


def cents(amounts: Ints) -> pa.Array:
    """Whole hundredths as ``decimal(18, 2)``, exactly."""
    low = amounts.astype(np.int64)
    words = np.empty((len(low), 2), dtype=np.int64)
    words[:, 0] = low
    words[:, 1] = low >> 63
    buffer = pa.py_buffer(np.ascontiguousarray(words).tobytes())
    return pa.Array.from_buffers(pa.decimal128(18, 2), len(low), [None, buffer])


def days(ordinals: Ints) -> pa.Array:
    """Days since 1970-01-01 as dates."""
    return pa.array(ordinals.astype(np.int32), pa.int32()).cast(pa.date32())
