"""An index of the log's texts: which entries may hold a given string, Chinese as well as Latin.

SQLite: FTS5 over trigrams.  It keeps sets, no positions: what it finds *may* match and is compared again.
The index follows the log in batches, off the path of the writers, and what it has not reached yet is read
directly.  PostgreSQL: ``pg_trgm``, if the database has it, whose index the server keeps and uses by itself.

Invariant: a lawful deletion takes an entry's trigrams out of the index in the same transaction (a trigger).
Before SQLite 3.42, which deletes them physically at once, their bytes go when FTS5 next merges its segments.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, text

from sandbox.store.followers import advance, position

FOLLOWER: Final = "text index"
_MOST_GRAMS: Final = 4
"""Trigrams of a long string that are asked for, the rarest: more hardly narrow it further."""
_SAMPLE: Final = 256
"""Entries whose texts tell which trigrams are rare."""
_MOST_WORDS: Final = 64
"""Trigrams that may begin with a string of one or two characters before it counts as common."""
_END: Final = "  "
"""Follows every text, so that its last two characters begin a trigram too."""
_LAST: Final = "\U0010ffff"
_NOWHERE: Final = _LAST * 3

_TABLE: Final = """CREATE VIRTUAL TABLE IF NOT EXISTS audit_text
USING fts5(text, content='', tokenize='trigram', detail=none)"""
_GRAMS: Final = "CREATE VIRTUAL TABLE IF NOT EXISTS audit_grams USING fts5vocab(audit_text, 'row')"
_FORGETS: Final = f"""CREATE TRIGGER IF NOT EXISTS audit_text_forgets AFTER DELETE ON audit_personal
WHEN OLD.text <> '' AND OLD.seq < (SELECT position FROM cursors WHERE name = '{FOLLOWER}')
BEGIN
    INSERT INTO audit_text (audit_text, rowid, text) VALUES ('delete', OLD.seq, OLD.text || '{_END}');
END"""
_PHYSICALLY: Final = "INSERT INTO audit_text (audit_text, rank) VALUES ('secure-delete', 1)"
_FTS: Final = (_TABLE, _GRAMS, _FORGETS, *([_PHYSICALLY] if sqlite3.sqlite_version_info >= (3, 42) else []))
_POSTGRESQL: Final = """DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm')
        AND NOT EXISTS (SELECT 1 FROM pg_indexes WHERE indexname = 'audit_text_grams')
    THEN CREATE INDEX audit_text_grams ON audit_personal USING gin (lower(text) gin_trgm_ops);
    END IF;
END $$"""
_ADD: Final = text(
    "INSERT INTO audit_text (rowid, text) SELECT seq, text || :end FROM audit_personal"
    " WHERE seq >= :low AND seq < :high AND text <> ''"
)
_NEWEST: Final = text("SELECT text FROM audit_personal WHERE seq >= :low AND seq < :high AND text <> ''")
_WORDS: Final = text("SELECT term FROM audit_grams WHERE term >= :first AND term < :last LIMIT :most")


def follow(connection: Connection, size: int, most: int) -> int:
    """Take up to ``most`` more entries of a log of ``size`` into the index; how many were taken."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(_POSTGRESQL)
        return 0
    start = position(connection, FOLLOWER)
    stop = min(size, start + most)
    if start == 0:
        for statement in _FTS:
            connection.exec_driver_sql(statement)
    if start < stop:
        connection.execute(_ADD, {"low": start, "high": stop, "end": _END})
        advance(connection, FOLLOWER, stop)
    return stop - start


def reach(connection: Connection) -> int:
    """Entries below this number are in the index (none in PostgreSQL, whose index is its own affair)."""
    return position(connection, FOLLOWER) if connection.dialect.name == "sqlite" else 0


def question(connection: Connection, wanted: str) -> str | None:
    """What to ask FTS5 for texts that may hold ``wanted``; ``None`` where the index cannot tell.

    Of one or two characters, ``wanted`` begins some trigrams of the index; those that begin more than
    ``_MOST_WORDS`` are common, and reading the log itself finds them soon.
    """
    if len(wanted) >= 3:
        return " AND ".join(_quoted(_rarest(connection, wanted)))
    if not wanted or wanted.isascii() or wanted.lower() != wanted.upper():
        return None  # common, or of letters whose case SQLite folds in another way
    told = {"first": wanted, "last": wanted + _LAST, "most": _MOST_WORDS + 1}
    words = [str(word) for word in connection.execute(_WORDS, told).scalars()] or [_NOWHERE]
    return " OR ".join(_quoted(words)) if len(words) <= _MOST_WORDS else None


def _rarest(connection: Connection, wanted: str) -> list[str]:
    """Those trigrams of a string that a sample of the newest texts holds least: common ones cost most."""
    grams = list(dict.fromkeys(wanted[i : i + 3] for i in range(len(wanted) - 2)))
    reached = position(connection, FOLLOWER)
    newest = connection.execute(_NEWEST, {"low": reached - _SAMPLE, "high": reached}).scalars()
    sample = [str(found).lower() for found in newest]
    return sorted(grams, key=lambda gram: sum(gram.lower() in found for found in sample))[:_MOST_GRAMS]


def _quoted(grams: Sequence[str]) -> list[str]:
    return ['"' + gram.replace('"', '""') + '"' for gram in grams]
