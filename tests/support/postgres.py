"""A real PostgreSQL server for tests: an own data folder, a Unix socket, every commit flushed.

PostgreSQL refuses to run as root; root starts it as the system's ``postgres`` (else ``nobody``).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
from sqlalchemy import make_url

from sandbox.store.database import Database

GUARDED = "guarded"
"""The one user whom the server asks for a password."""
PASSWORD = "correct-horse-7391"

_SETTINGS = (
    "listen_addresses=",
    "fsync=on",
    "max_connections=200",
    "shared_buffers=32MB",
    "autovacuum=off",
    "lc_messages=C",
)


# Only a superuser may set the fences (and keys) aside, for a session.
_EMPTIED = """
SET session_replication_role = replica;
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('DELETE FROM %I', name);
  END LOOP;
  FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
    PERFORM setval(format('%I', name)::regclass, 1, false);
  END LOOP;
END $$;
INSERT INTO log_head (id, size) VALUES (0, 0);
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; each ``database`` is a new, empty one."""

    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _made: list[str] = field(default_factory=list)

    def url(self, database: str, user: str = "owner") -> str:
        return f"postgresql://{user}@/{database}?host={quote(str(self.folder), safe='')}"

    def database(self) -> str:
        """The URL of a new database."""
        name = f"store{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template0", "postgres")
        return self.url(name)

    def store(self) -> str:
        """The URL of a store without entries: one and the same, emptied, as making one takes long."""
        if not self._made:
            self._made.append(self.database())
            Database(self._made[0]).close()
        self.run(_EMPTIED, make_url(self._made[0]).database or "")
        return self._made[0]

    def run(self, statement: str, database: str) -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def stop(self) -> None:
        _call("pg_ctl", "stop", "-D", str(self.folder / "data"), "-m", "immediate", "-w")

    def start(self, *settings: str) -> None:
        told = (*_SETTINGS, f"unix_socket_directories={self.folder}", *settings)
        options = " ".join(f"-c {setting}" for setting in told)
        log = str(self.folder / "log")
        _call("pg_ctl", "start", "-D", str(self.folder / "data"), "-l", log, "-o", options, "-w")


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A new server, stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # short: a socket's path has about 100 bytes
    server = Server(folder)
    try:
        if os.geteuid() == 0:
            os.chown(folder, _user().pw_uid, _user().pw_gid)
        data = str(folder / "data")
        _call("initdb", "-D", data, "-U", "owner", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        rules = folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all {GUARDED} scram-sha-256\n{rules.read_text()}")
        server.start()
        try:
            server.run(f"CREATE USER {GUARDED} PASSWORD '{PASSWORD}' SUPERUSER", "postgres")
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _call(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own programs, as a user that it accepts."""
    name = _user().pw_name if os.geteuid() == 0 else None
    done = subprocess.run(
        [_binary(program), *arguments],
        user=name,
        group=None if name is None else _user().pw_gid,
        extra_groups=None if name is None else [],
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # a server keeps what it inherits: a pipe would never end
        stderr=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program} ended with {done.returncode}")


def _user() -> pwd.struct_passwd:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")


def _binary(program: str) -> str:
    """Debian keeps the server's programs out of PATH, in a folder for each version: the newest."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda f: int(f.parent.name))
    path = os.pathsep.join([*map(str, reversed(folders)), os.environ.get("PATH", os.defpath)])
    found = shutil.which(program, path=path)
    if found is None:
        raise RuntimeError("PostgreSQL is not here: `make postgresql` installs it on Debian")
    return found
