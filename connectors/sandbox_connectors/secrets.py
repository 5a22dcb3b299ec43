"""Secrets by reference: ``env:NAME`` or ``file:PATH``.

A document holds the reference, never the secret.  It is read when a connection is made, and shows in no
repr, log, error or list of processes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import Code, refuse

LONGEST = 64 * 1024
"""Most characters of a secret's file."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A reference to a secret."""

    reference: str

    def reveal(self) -> str:
        """The secret.  Refuses with ``Code.SOURCE_SECRET``, naming the kind of reference alone."""
        kind, _, name = self.reference.partition(":")
        found = os.environ.get(name) if kind == "env" else _content(Path(name)) if kind == "file" else None
        if not name or not found:
            hint = "write env:NAME or file:PATH, and set what it names"
            raise refuse(
                Code.SOURCE_SECRET,
                kind if kind in ("env", "file") else "",
                hint,
                "请写 env:变量名 或 file:路径，并设置其内容",
            )
        return found

    def __repr__(self) -> str:
        return "Secret(…)"


def _content(path: Path) -> str | None:
    """The file's text without its last line break; ``None`` if it cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(LONGEST).rstrip("\r\n")
    except (OSError, ValueError):
        return None
