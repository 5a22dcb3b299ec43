"""Canonical JSON (RFC 8785, JCS) of what the audit log hashes, and text that any store can keep.

Invariants: the same value always gives the same text, whatever its keys' order; numbers are integers
within ±(2^53 - 1), which every JSON reader holds exactly (RFC 8785, 3.2.2.3 and appendix D: larger ones
are written as strings by the caller); floats never occur.  One step beyond RFC 8785, which stops at lone
surrogates: they are escaped as ECMAScript's well-formed ``JSON.stringify`` does, because a refusal of
hostile text must still be logged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

MOST_EXACT = 2**53 - 1
"""The largest integer that a binary64 reader of JSON holds exactly."""


def canonical(value: object) -> str:
    """Canonical JSON text of ``value``: None, bool, int, str, and lists, tuples and mappings of these.

    Raises ``ValueError`` for any other type (floats too), for keys that are not strings, and for
    integers beyond ``MOST_EXACT``.
    """
    text = json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def printable(text: str) -> str:
    r"""``text`` as every store can keep it: lone surrogates as ``\udXXX``, NUL as ``\x00``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")


def _ordered(value: object) -> object:
    """``value`` rebuilt with mappings in RFC 8785 order: by the UTF-16 code units of their keys."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return _exact(value)
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value, key=_utf16)}
    raise ValueError(f"canonical JSON has no {type(value).__name__}")


def _exact(value: int) -> int:
    if abs(value) > MOST_EXACT:
        raise ValueError("an integer beyond 2^53 - 1 must be written as a string")
    return value


def _utf16(key: object) -> bytes:
    if not isinstance(key, str):
        raise ValueError("keys of canonical JSON are strings")
    return key.encode("utf-16-be", "surrogatepass")
