"""The few pieces of DuckDB SQL that both child processes write: quoting, and locking a connection."""

from __future__ import annotations

from typing import Final

RELEASED: Final = "released"
"""The schema of the tables that come with a run.  No dataset may have this name."""

LOCK: Final = (
    "autoload_known_extensions = false",
    "autoinstall_known_extensions = false",
    "allow_community_extensions = false",
    "allow_persistent_secrets = false",
    "python_enable_replacements = false",
    "error_on_division_by_zero = false",
    "enable_external_access = false",
    "lock_configuration = true",
)
"""Settings of every connection, in this order: after the last one, none can be changed."""


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string constant."""
    return "'" + text.replace("'", "''") + "'"
