"""The second fence around what is only added to, behind code that never tries: triggers, in both dialects.

Answers may be deleted, because retention by policy must be able to, and a purge loses no more than the right
to repeat an answer for free; they may never be changed.  Of the log only the personal part may be deleted
(its commitment stays).  ``REPLACE`` skips SQLite's triggers on DELETE: hence the fence on INSERT.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_LOG: Final = ("audit", "audit_datasets", "audit_codes")
_UNCHANGED: Final = (*_LOG, "audit_personal", "answers")

_LAST: Final = "(SELECT coalesce(max(seq), -1) + 1 FROM audit)"
_REFUSE: Final = """\
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$"""
_REFUSE_GAP: Final = f"""\
CREATE FUNCTION audit_gapless() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.seq <> {_LAST} THEN RAISE EXCEPTION 'audit is append-only'; END IF;
  RETURN NEW;
END $$"""


def statements(dialect: str) -> Iterator[str]:
    """The statements that raise the fences in a store that has its tables."""
    if dialect == "postgresql":
        yield from (_REFUSE, _REFUSE_GAP)
    spell = _postgresql if dialect == "postgresql" else _sqlite
    yield from (spell(table, "UPDATE") for table in _UNCHANGED)
    yield from (spell(table, "DELETE") for table in _LOG)
    if dialect == "postgresql":
        yield from (
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION append_only()"
            for table in _LOG
        )
        gapless = "BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_gapless()"
        yield f"CREATE TRIGGER audit_gapless {gapless}"
    else:
        yield _abort("audit_gapless", f"INSERT ON audit WHEN NEW.seq <> {_LAST}", "audit")


def _postgresql(table: str, verb: str) -> str:
    name = f"{table}_no_{verb.lower()}"
    return f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION append_only()"


def _sqlite(table: str, verb: str) -> str:
    return _abort(f"{table}_no_{verb.lower()}", f"{verb} ON {table}", table)


def _abort(name: str, rule: str, table: str) -> str:
    body = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    return f"CREATE TRIGGER {name} BEFORE {rule} {body}"
