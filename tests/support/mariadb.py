"""A real MariaDB server for tests: an own data folder, a Unix socket, no network."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

PASSWORD = "correct-horse-8264"
READER = "reader"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server with one database, ``source``."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def socket(self) -> str:
        return str(self.folder / "socket")

    def connect(self, database: str | None = "source") -> Connection[Any]:
        return pymysql.connect(unix_socket=self.socket, user="root", database=database, autocommit=True)

    def run(self, *statements: str, database: str | None = "source") -> None:
        with self.connect(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A new server, stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="mariadb-"))  # short: a socket's path has about 100 bytes
    data = folder / "data"
    user = _user()
    try:
        told = [
            "--no-defaults",
            f"--datadir={data}",
            *([f"--user={user.pw_name}"] if os.geteuid() == 0 else []),
        ]
        if os.geteuid() == 0:
            os.chown(folder, user.pw_uid, user.pw_gid)
        subprocess.run(
            [
                _binary("mariadb-install-db"),
                *told,
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        process = subprocess.Popen(
            [
                _binary("mariadbd"),
                *told,
                f"--socket={folder}/socket",
                f"--pid-file={folder}/pid",
                "--skip-networking",
                "--innodb-buffer-pool-size=32M",
                "--character-set-server=utf8mb4",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        server = Server(folder, process)
        try:
            _wait(server)
            server.run(
                "CREATE DATABASE source CHARACTER SET utf8mb4",
                f"CREATE USER {READER}@localhost IDENTIFIED BY '{PASSWORD}'",
                f"GRANT SELECT ON source.* TO {READER}@localhost",
                database=None,
            )
            yield server
        finally:
            process.terminate()
            process.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: Server) -> None:
    for _ in range(600):
        if Path(server.socket).exists():  # it is made when the server is ready to answer
            server.connect(None).close()
            return
        if server.process.poll() is not None:
            raise RuntimeError("MariaDB did not start")
        time.sleep(0.1)
    raise RuntimeError("MariaDB did not answer")


def _user() -> pwd.struct_passwd:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("mysql")
    return pwd.getpwnam("nobody")


def _binary(program: str) -> str:
    """Debian keeps the server's program in a folder that plain users do not search."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/bin"])
    found = shutil.which(program, path=path)
    if found is None:
        raise RuntimeError("MariaDB is not here: `make mariadb` installs it on Debian")
    return found
