"""A browser's part, without one: through the console's ticket into the notebooks, and code into a kernel."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any, Final

import httpx
from websockets.sync.client import connect
from websockets.typing import Origin

from sandbox.doors.http import utc_now
from sandbox.doors.notebook_door import SESSION
from sandbox.doors.notebook_service import NotebookService
from sandbox.model import Person
from tests.notebooks.house import House

_PATIENCE_S: Final = 90.0
DIED: Final = "the kernel died"


class Lab:
    """One person, signed in, at the notebooks' origin."""

    def __init__(self, house: House, service: NotebookService, person: Person, lang: str = "en") -> None:
        self.person = person
        token = house.accounts.issue(person, "lab", utc_now())
        self.session = house.accounts.sessions.begin(token, utc_now())
        self.origin = f"http://127.0.0.1:{service.port}"
        self.http = httpx.Client(base_url=self.origin, timeout=_PATIENCE_S)
        self.way = service.door.ticket(self.session, "127.0.0.1", lang)
        self.entered = self.http.get(self.way)

    @property
    def cookie(self) -> str:
        """The session's secret at this door."""
        return self.http.cookies[SESSION]

    def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        """As JupyterLab's own pages do."""
        return self.http.post(path, json=body, headers=self._bearing(headers))

    def put(self, path: str, body: object) -> httpx.Response:
        """Likewise."""
        return self.http.put(path, json=body, headers=self._bearing({}))

    def delete(self, path: str) -> httpx.Response:
        """Likewise."""
        return self.http.delete(path, headers=self._bearing({}))

    def kernel(self, name: str = "sandbox") -> str:
        """Start a kernel; its id."""
        started = self.post("/api/kernels", {"name": name})
        assert started.status_code == 201, started.text
        found: str = started.json()["id"]
        return found

    def run(self, kernel: str, code: str, patience_s: float = _PATIENCE_S) -> dict[str, Any]:
        """Run code: what it printed (``text``), what it showed (``shown``), and the error's name."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        address = f"{self.origin.replace('http', 'ws')}/api/kernels/{kernel}/channels"
        found: dict[str, Any] = {"text": "", "shown": [], "error": ""}
        headers, origin = {"cookie": cookies}, Origin(self.origin)
        with connect(
            address, additional_headers=headers, origin=origin, max_size=None, open_timeout=_PATIENCE_S
        ) as line:
            asked = _message("execute_request", {"code": code, "silent": False, "store_history": False})
            line.send(json.dumps(asked))
            deadline = time.monotonic() + patience_s
            while True:
                told = json.loads(line.recv(deadline - time.monotonic()))
                if told["content"].get("execution_state") in ("restarting", "dead"):
                    return found | {"error": DIED}
                if told["parent_header"].get("msg_id") != asked["header"]["msg_id"]:
                    continue
                content = told["content"]
                match told["msg_type"]:
                    case "stream":
                        found["text"] += content["text"]
                    case "display_data" | "execute_result":
                        found["shown"].append(content["data"])
                    case "error":
                        found["error"] = content["ename"]
                    case "status" if content["execution_state"] == "idle":
                        return found

    def close(self) -> None:
        """Leave."""
        self.http.close()

    def _bearing(self, headers: dict[str, str]) -> dict[str, str]:
        if "_xsrf" not in self.http.cookies:
            self.http.get("/lab")  # sets the cookie that forms repeat
        xsrf = self.http.cookies.get("_xsrf")
        own = {"origin": self.origin, **({"x-xsrftoken": xsrf} if xsrf else {})}
        return own | {name.replace("_", "-"): value for name, value in headers.items()}


def _message(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": kind,
        "username": "",
        "session": "lab",
        "version": "5.3",
    }
    return {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "channel": "shell",
        "buffers": [],
    }
