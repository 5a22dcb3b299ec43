"""What the doctor learns by asking: is the service ready, can the collector of traces be reached."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from contextlib import closing
from typing import Final
from urllib.parse import urlsplit

from sandbox.home import Home

PATIENCE_S: Final = 2.0
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # where it listens, as one who asks


def readiness(home: Home) -> str | None:
    """``ready``, or the code of why it is not; ``None`` where nothing answers as the service does."""
    settings = home.settings
    host = _ANY.get(settings.host, settings.host)
    with closing(_connection(host, settings.port, tls=bool(settings.tls.certificate))) as asked:
        try:
            asked.request("GET", "/readyz")
            told = json.loads(asked.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            return None
    found = told.get("status") if told.get("status") == "ready" else told.get("code")
    return found if isinstance(found, str) else None


def _connection(host: str, port: int, *, tls: bool) -> http.client.HTTPConnection:
    if not tls:
        return http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
    context = ssl.create_default_context()  # the certificate names the public host; nothing secret is sent
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=PATIENCE_S, context=context)


def reachable(place: str) -> bool:
    """Whether somebody listens at an http(s) address."""
    told = urlsplit(place)
    port = told.port or (443 if told.scheme == "https" else 80)
    try:
        socket.create_connection((told.hostname or "", port), PATIENCE_S).close()
    except OSError:
        return False
    return True
