"""The store in a PostgreSQL database, for more than one gateway: how it is opened, how troubles are named.

Invariants:
- a writing transaction waits its turn at one advisory lock before it reads anything, so the writers of all
  gateways stand in one line, as SQLite's do, and none acts on what another is about to change;
- a reading one sees one moment (REPEATABLE READ, READ ONLY);
- a commit that returned is on disk: ``synchronous_commit`` is set here, and a server that does not flush is
  refused;
- no password passes through here: libpq reads it from a password file or ``PGPASSWORD``.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import TimeoutError as NoConnection

from sandbox.errors import Code, refuse

SCHEME: Final = "postgresql://"

_LINE: Final = int.from_bytes(b"sandbox", "big")
"""The advisory lock at which writers wait: any number, the same for every gateway."""

_STATES: Final = {
    "08": "not reachable",  # connection exceptions
    "28": "not reachable",  # it does not know us
    "3D": "not reachable",  # there is no such database
    "57P": "not reachable",  # it is going down, or coming up
    "53300": "not reachable",  # too many connections
    "55P03": "locked",
    "40": "locked",  # deadlock, serialization failure
    "XX001": "damaged",
    "XX002": "damaged",
    "53100": "disk full",
    "58": "disk error",
    "25006": "not writable",  # a read-only transaction, as on a standby
    "42501": "not writable",  # no right to
}
"""SQLSTATEs (PostgreSQL manual, appendix A) and their beginnings in our words."""


def word(error: BaseException) -> str | None:
    """What PostgreSQL reports, in one word; ``None`` if nothing known.

    What libpq reports by itself has no SQLSTATE: there was no server to give one.
    """
    if isinstance(error, NoConnection):
        return "not reachable"
    if not hasattr(error, "sqlstate"):
        return None
    state = error.sqlstate
    if state is None:
        return "not reachable" if type(error).__name__ == "OperationalError" else None
    return next((_STATES[state[:n]] for n in (5, 3, 2) if state[:n] in _STATES), None)


def engines(url: str, patience: float) -> tuple[Engine, Engine]:
    """Engines to read and to write the database at ``url`` (``postgresql://user@host:port/database``).

    Two, so that readers, however many, never keep the one writer waiting for a connection.  Refuses
    ``Code.STORE`` for a URL that holds a password, and for a server that does not flush.
    """
    place = _place(url)
    reader = _engine(place, patience, READERS).execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    )
    writer = _engine(place, patience, 1).execution_options(isolation_level="READ COMMITTED")
    event.listen(writer, "begin", _on_begin)
    try:
        with reader.connect() as connection:
            if connection.execute(text("SHOW fsync")).scalar_one() != "on":
                raise refuse(Code.STORE, "its server does not flush")
    except BaseException:
        reader.dispose()
        raise
    return reader, writer


READERS: Final = 20
"""Connections of one gateway that read at a time; who comes later waits for one."""


def _place(url: str) -> URL:
    try:
        place = make_url(url).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        raise refuse(Code.STORE, "not reachable") from None
    if place.password is not None or "password" in place.query:
        raise refuse(Code.STORE, "its password belongs in a password file")
    return place


def _engine(place: URL, patience: float, connections: int) -> Engine:
    told = place.query.get("options", "")
    options = (told if isinstance(told, str) else " ".join(told), *_options(patience))
    return create_engine(
        place.difference_update_query(["options"]),
        hide_parameters=True,
        connect_args={"options": " ".join(options).strip(), **_PATIENT},
        pool_size=connections,
        max_overflow=0,
        pool_timeout=patience,
        pool_pre_ping=True,  # a server that was restarted is found again
    )


_PATIENT: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""Seconds, and tries, after which a connection is known to be lost."""


def _options(patience: float) -> tuple[str, ...]:
    """Settings of each session.  A gateway that hangs amid a transaction stops the others for a minute."""
    return (
        f"-c lock_timeout={max(1, round(1000 * patience))}",
        "-c synchronous_commit=on",
        "-c idle_in_transaction_session_timeout=60000",
    )


def _on_begin(connection: Connection) -> None:
    connection.execute(_WAIT, {"line": _LINE})


_WAIT: Final = text("SELECT pg_advisory_xact_lock(:line)")
