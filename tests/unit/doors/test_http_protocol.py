"""Connections that send too much, too slowly or nothing at all; over real sockets, and over TLS."""

from __future__ import annotations

import datetime as dt
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sandbox.doors import http_protocol
from sandbox.doors.server import server
from sandbox.home import Home, Tls, create_home
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from tests.unit.doors.conftest import SimpleGateway

LATE = 0.5
HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


def _serving(home: Home, database: Database, gateway: SimpleGateway) -> Iterator[int]:
    kept = {name: logging.getLogger(name).handlers[:] for name in ("sandbox", "uvicorn")}
    running = server(home, gateway, Accounts(database), port=0)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        yield _port(running)
    finally:
        running.should_exit = True
        thread.join(timeout=10)
        for name, handlers in kept.items():
            logging.getLogger(name).handlers[:] = handlers


def _port(running: uvicorn.Server) -> int:
    end = time.monotonic() + 10
    while not running.started and time.monotonic() < end:
        time.sleep(0.01)
    port: int = running.servers[0].sockets[0].getsockname()[1]
    return port


@pytest.fixture
def port(
    tmp_path: Path, database: Database, gateway: SimpleGateway, monkeypatch: pytest.MonkeyPatch
) -> Iterator[int]:
    monkeypatch.setattr(http_protocol, "HEAD_S", LATE)
    monkeypatch.setattr(http_protocol, "BODY_S", LATE)
    yield from _serving(create_home(tmp_path / "home"), database, gateway)


def _all(connection: socket.socket) -> bytes:
    found = b""
    while part := connection.recv(65536):
        found += part
    return found


def _opened(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def _problem(answer: bytes, status: int, code: str) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    found: dict[str, Any] = json.loads(body)
    assert (found["status"], found["code"]) == (status, code)
    assert b"nosniff" in head and b"content-length: %d" % len(body) in head


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost", HEAD])
def test_what_is_not_said_in_time_is_not_heard(port: int, said: bytes) -> None:
    with _opened(port) as connection:
        begun = time.monotonic()
        connection.sendall(said)
        assert _all(connection) == b""
        assert LATE * 0.9 <= time.monotonic() - begun < LATE + 2


def test_a_byte_now_and_then_buys_no_time(port: int) -> None:
    with _opened(port) as connection:
        begun = time.monotonic()
        connection.sendall(HEAD)
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            while time.monotonic() - begun < LATE + 3:
                connection.sendall(b"x")
                time.sleep(0.05)
        assert time.monotonic() - begun < LATE + 2


def test_a_body_must_come_in_time(port: int) -> None:
    with _opened(port) as connection:
        connection.sendall(b"POST /v1/queries HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        begun = time.monotonic()
        _all(connection)
        assert time.monotonic() - begun < LATE + 2


def test_a_request_in_parts_is_answered_and_the_connection_kept(port: int) -> None:
    with _opened(port) as connection:
        for _ in range(2):
            connection.sendall(HEAD)
            time.sleep(LATE / 3)
            connection.sendall(b"\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\n" + b"".join(b"x-%d: %s\r\n" % (i, b"y" * 100) for i in range(200)),
        b"GET /healthz HTTP/1.1\r\nx: " + b"y" * 20_000,
        b"GET /" + b"y" * 20_000,
    ],
)
def test_a_long_head_is_refused(port: int, head: bytes) -> None:
    with _opened(port) as connection:
        connection.sendall(head + b"\r\n\r\n")
        _problem(_all(connection), 413, "DS-806")


def test_a_head_without_end_is_refused_before_it_ends(port: int) -> None:
    with _opened(port) as connection:
        connection.sendall(HEAD)
        for _ in range(17):
            connection.sendall(b"x: " + b"y" * 1000 + b"\r\n")
        _problem(_all(connection), 413, "DS-806")


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00", b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
def test_what_is_not_http_gets_a_problem_and_no_words_of_a_parser(port: int, noise: bytes) -> None:
    with _opened(port) as connection:
        connection.sendall(noise)
        _problem(_all(connection), 400, "DS-803")


def test_there_are_only_so_many_connections(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "MOST_CONNECTIONS", 1)
    monkeypatch.setattr(http_protocol, "HEAD_S", 10.0)
    with _opened(port) as first:
        first.sendall(HEAD + b"\r\n")
        assert first.recv(65536).startswith(b"HTTP/1.1 200")
        with _opened(port) as second:
            begun = time.monotonic()
            assert _all(second) == b""
            assert time.monotonic() - begun < 2


def _certificate(folder: Path) -> Tls:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox.test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("sandbox.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return Tls(str(folder / "cert.pem"), str(folder / "key.pem"))


def test_it_speaks_tls_by_setting(tmp_path: Path, database: Database, gateway: SimpleGateway) -> None:
    home = create_home(tmp_path / "home")
    home = replace(home, settings=replace(home.settings, tls=_certificate(tmp_path)))
    for port in _serving(home, database, gateway):
        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with _opened(port) as plain, context.wrap_socket(plain, server_hostname="sandbox.test") as connection:
            connection.sendall(HEAD + b"Connection: close\r\n\r\n")
            assert _all(connection).startswith(b"HTTP/1.1 200")
