"""Canonical JSON and its SHA-256: the identity of documents and catalogues.

Two values have the same fingerprint exactly if they are equal as data: keys are sorted, numbers are
exact (``0.50`` and ``5.0e-1`` are one number), and dates and fractions cannot be mistaken for text.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

Plain = None | bool | int | float | str | Fraction | dt.date | Sequence["Plain"] | Mapping[str, "Plain"]
"""What a canonical form may hold.  Floats only where a value is binary to begin with."""


def canonical(value: Plain) -> str:
    """The canonical JSON text of a value."""
    return json.dumps(
        _json(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def fingerprint(value: Plain) -> str:
    """SHA-256 of the canonical JSON text, in hexadecimal.

    Half a surrogate pair, which a YAML escape can spell, has a fingerprint too; the readers refuse it.
    """
    return hashlib.sha256(canonical(value).encode(errors="surrogatepass")).hexdigest()


def _json(value: Plain) -> object:
    """JSON's own types as they are; a number that is not whole, and a date, as a tagged list."""
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else ["#number", str(value)]
    if isinstance(value, float):
        return _json(Fraction(value)) if math.isfinite(value) else ["#float", str(value)]
    if isinstance(value, dt.date):
        return ["#date", value.isoformat()]
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ["#list", *(_json(item) for item in value)]
    return value
