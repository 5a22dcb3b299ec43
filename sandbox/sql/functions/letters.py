"""Letters as the engine knows them: Unicode's one-to-one case mapping, and its spaces.

Python's own mappings may turn one letter into several (``ß`` to ``SS``) or look at its neighbours (the
final sigma); the engine maps each code point to one.  Domains are derived by evaluating functions here,
so the two must agree: tests compare them over the whole Basic Multilingual Plane.
"""

from __future__ import annotations

SPACES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""What TRIM removes: Unicode's space separators (category Zs), so neither tabs nor line ends."""


def lower(text: str) -> str:
    """Each letter's lower case, one for one."""
    return "".join(c.lower()[0] for c in text)


def upper(text: str) -> str:
    """Each letter's upper case, one for one; where upper case takes two letters, title case may not."""
    return "".join(map(_upper, text))


def _upper(letter: str) -> str:
    if letter == "ß":
        return "ẞ"
    return next((c for c in (letter.upper(), letter.title()) if len(c) == 1), letter)
