"""Who asks during a soak: people at their work, and people who send the worst they can think of.

Each kind is a function that does one thing and says what was wrong with what came back; empty: nothing.
"""

from __future__ import annotations

import itertools
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.errors import Code
from tests.load.line import Line, Reply

CITIES: Final = "SELECT city, COUNT(*) AS n FROM visit GROUP BY city ORDER BY city"
TRUE_CITIES: Final = [[0, 40], [1, 40], [2, 40]]
KEPT: Final = "SELECT kind, COUNT(*) AS n FROM visit GROUP BY kind"
BUSY: Final = frozenset({"DS-703"})
SPENT: Final = frozenset({"DS-501", "DS-502"})

BOMBS: Final = (
    "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "SELECT " + "+".join(["fee"] * 4000) + " FROM visit",
    "SELECT " + "NOT " * 900 + "true FROM visit",
    "SELECT COUNT(*) FROM visit WHERE fee IN (" + ", ".join(map(str, range(9000))) + ")",
    "SELECT COUNT(*) FROM " + ", ".join(f"visit AS v{n}" for n in range(30)),
    "SELECT repeat('x', 4000000000) FROM visit",
    "SELECT * FROM range(10000000000)",
    "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) SELECT COUNT(*) FROM x",
    "WITH a0 AS (SELECT * FROM visit)"
    + "".join(f", a{n} AS (SELECT x.* FROM a{n - 1} x, a{n - 1} y)" for n in range(1, 24))
    + " SELECT COUNT(*) FROM a23",
    "SELECT COUNT(*) FROM visit WHERE regexp_matches('" + "a" * 5000 + "', '(a+)+$')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/proc/self/environ'",
    "COPY visit TO '/tmp/visit.csv'",
    "SELECT 1; DROP TABLE visit",
    "SELECT city, fee FROM visit",
    "SELECT \x00 FROM visit",
    "SELECT COUNT(*) FROM visit -- " + "漏" * 20_000,
    "SELECT COUNT(*) FROM visit WHERE fee = " + "9" * 20_000,
)
"""Texts of which each must be refused, or answered, within the limits of one worker."""

BODIES: Final = (
    b"",
    b"{",
    b"[" * 30_000,
    b'{"sql": 1, "grant": []}',
    b'{"sql": "SELECT 1", "grant": "G-DP", "epsilon": "1e999999999"}',
    b'{"sql": "SELECT 1", "grant": "G-DP", "epsilon": "' + b"9" * 30_000 + b'"}',
    b'{"sql": "\\ud800", "grant": "G-DP"}',
    b"x" * 1_000_000,
)
NOISE: Final = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n",
    b"POST /v1/queries HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /v1/queries HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"GET /healthz HTTP/1.1\r\nHo",
)


@dataclass(slots=True)
class World:
    """What all share: where to ask, a stream of numbers for questions nobody asked, when to end, the count."""

    port: int
    over: threading.Event = field(default_factory=threading.Event)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    requests: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, reply: Reply, said: str) -> None:
        """One more reply, and what is wrong with it."""
        with self._lock:
            self.requests += 1
            if reply.code:
                self.refused[reply.code] = self.refused.get(reply.code, 0) + 1
            if said:
                self.wrong.append(said)


def judged(reply: Reply, allowed: frozenset[str] = BUSY) -> str:
    """What is wrong with the reply to somebody at their work."""
    if reply.status == 200 or reply.code in allowed:
        return ""
    return f"{reply.status} {reply.code}"


def survived(reply: Reply) -> str:
    """What is wrong with the reply to an attack: it may be anything that we meant to say, soon."""
    if reply.status == 0 or (reply.status >= 500 and reply.code != "DS-702"):
        return f"after an attack: {reply.status} {reply.code}"
    return ""


def exact(line: Line, world: World) -> tuple[Reply, str]:
    """A small question whose answer is known."""
    reply = line.query(CITIES, "G-EXACT")
    said = judged(reply)
    if reply.status == 200 and reply.json()["rows"] != TRUE_CITIES:
        said = "an exact answer that is not the truth"
    return reply, said


def kept(line: Line, world: World) -> tuple[Reply, str]:
    """A question that was asked before."""
    reply = line.query(KEPT, "G-DP", epsilon="0.005")
    return reply, judged(reply)


def fresh(line: Line, world: World) -> tuple[Reply, str]:
    """A question that nobody asked before, until nothing is left to pay it with."""
    number = next(world.numbers)
    sql = f"SELECT city, COUNT(*) AS n FROM visit WHERE fee < {number + 20} GROUP BY city"
    reply = line.query(sql, "G-DP", epsilon="0.001")
    return reply, judged(reply, BUSY | SPENT)


def explained(line: Line, world: World) -> tuple[Reply, str]:
    """What a question would cost."""
    reply = line.post("/v1/explain", {"sql": KEPT, "grant": "G-DP", "epsilon": "0.01"})
    return reply, judged(reply)


def reading(line: Line, world: World) -> tuple[Reply, str]:
    """Catalogue, budget, log."""
    reply = line.get(random.choice(("/v1/catalog", "/v1/budget", "/v1/log")))
    return reply, judged(reply)


def bomb(line: Line, world: World) -> tuple[Reply, str]:
    """A text made to eat the parser, the planner or the engine."""
    grant = random.choice(("G-DP", "G-EXACT", "G-NONE"))
    reply = line.query(random.choice(BOMBS), grant, **({"epsilon": "0.001"} if grant == "G-DP" else {}))
    return reply, survived(reply)


def nonsense(line: Line, world: World) -> tuple[Reply, str]:
    """A body that is none."""
    reply = line.post("/v1/queries", random.choice(BODIES))
    too_long = reply.status == 0  # a body that is refused half sent may cost the connection: by design
    return reply, "" if too_long else survived(reply)


def trespass(line: Line, world: World) -> tuple[Reply, str]:
    """What only the bureau may, or nobody."""
    asked: list[Callable[[], Reply]] = [
        lambda: line.get("/metrics"),
        lambda: line.get("/v1/freezes"),
        lambda: line.post("/v1/freezes", {"scope": "everything", "reason": "x"}),
        lambda: line.post("/v1/budget/approvals", {"account": "G-DP/person"}),
        lambda: line.get("/v1/log/0"),
        lambda: line.get("/../../etc/passwd"),
        lambda: line.query(CITIES, "G-OTHER"),
    ]
    reply = random.choice(asked)()
    said = "a trespass was answered" if reply.status == 200 else survived(reply)
    return reply, said


def noise(line: Line, world: World) -> tuple[Reply, str]:
    """Bytes that are no HTTP, and a connection that is dropped with a reset."""
    try:
        with socket.create_connection(("127.0.0.1", world.port), timeout=15) as wire:
            wire.sendall(random.choice(NOISE))
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError as error:
        return Reply(0), "" if isinstance(
            error, ConnectionError
        ) else f"no connection: {type(error).__name__}"
    return Reply(0), ""


def hangup(line: Line, world: World) -> tuple[Reply, str]:
    """A question whose asker is gone before the answer."""
    number = next(world.numbers)
    body = b'{"sql": "SELECT COUNT(*) FROM visit WHERE fee < %d", "grant": "G-EXACT"}' % number
    head = b"POST /v1/queries HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    token = str(line.headers.get("authorization", "")).encode()
    try:
        with socket.create_connection(("127.0.0.1", world.port), timeout=15) as wire:
            wire.sendall(
                head + b"Authorization: %s\r\nContent-Length: %d\r\n\r\n" % (token, len(body)) + body
            )
    except OSError as error:
        return Reply(0), "" if isinstance(
            error, ConnectionError
        ) else f"no connection: {type(error).__name__}"
    return Reply(0), ""


def cancelled(line: Line, world: World) -> tuple[Reply, str]:
    """Cancelling, whatever runs: one's own alone is stopped."""
    reply = line.post("/v1/cancel")
    return reply, survived(reply)


def stranger(line: Line, world: World) -> tuple[Reply, str]:
    """Somebody whom nobody knows."""
    unknown = Line(world.port, "".join(random.choices("abcdefghij", k=random.choice((8, 43, 4000)))))
    reply = unknown.query(CITIES, "G-EXACT")
    unknown.close()
    refused = reply.status == 401 or reply.code == Code.TRIES.id
    return reply, "" if refused else survived(reply) or f"a stranger got {reply.status}"


Act = Callable[[Line, World], tuple[Reply, str]]
WORK: Final[dict[Act, int]] = {exact: 4, kept: 4, fresh: 2, explained: 1, reading: 1}
HARM: Final[dict[Act, int]] = {
    bomb: 6, nonsense: 2, trespass: 2, noise: 2, hangup: 2, cancelled: 1, stranger: 2,
}  # fmt: skip


def live(line: Line, world: World, acts: dict[Act, int], seed: int) -> None:
    """One act after another, until it is over."""
    dice = random.Random(seed)
    choices: list[Any] = list(acts)
    while not world.over.is_set():
        act = dice.choices(choices, list(acts.values()))[0]
        reply, said = act(line, world)
        world.note(reply, said and f"{act.__name__}: {said}")
    line.close()
