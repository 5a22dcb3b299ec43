"""``sandbox demo``: the story in a terminal, told with real queries through the gateway, then a server.

Nothing here is prepared: every answer, refusal and price is what the gateway says at that moment.  The
acts follow one another as a new user would try them; each is a function of the ``Stage``.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from rich.console import Console

from sandbox.demo import cast
from sandbox.demo.cast import ANALYST, AVIATION, BUREAU, CREDIT, SECOND, Login, logins
from sandbox.demo.stock import stock
from sandbox.doors import log_screens, screens
from sandbox.doors.asking import new_id
from sandbox.doors.ports import Gateway, open_gateway
from sandbox.doors.terminal import Terminal
from sandbox.doors.values import NONE, margins_of
from sandbox.engine import found as confinement
from sandbox.engine.layers import Floor, Layer, level, meets
from sandbox.errors import Lang, Refusal
from sandbox.home import Home
from sandbox.model import Answer, Person, Refused, Request, Words
from sandbox.store.freezes import Scope
from sandbox.store.search import LogFilter

AIR: Final = "G-FLIGHTS-DP"
POWER: Final = "G-2025-022"
HEALTH: Final = "G-2025-017"

CLAIMS: Final = """SELECT p.age_band, COUNT(DISTINCT c.person_id) AS patients, COUNT(*) AS claims,
       1.0 * COUNT(*) / COUNT(DISTINCT c.person_id) AS claims_per_patient
FROM claim c JOIN person p ON p.person_id = c.person_id
GROUP BY p.age_band ORDER BY p.age_band"""
SHARES: Final = """SELECT a.name, COUNT(*) AS flights, 100.0 * COUNT(*) / SUM(COUNT(*)) OVER () AS percent
FROM flights f JOIN airlines a ON a.carrier = f.carrier
GROUP BY a.name ORDER BY flights DESC LIMIT 8"""
KWH: Final = """SELECT s.en AS sector, SUM(u.kwh) AS kwh
FROM usage u JOIN sector s ON s.industry2 = u.industry2
WHERE u.month >= DATE '2025-06-01' AND u.month < DATE '2025-07-01'
GROUP BY s.en ORDER BY kwh DESC LIMIT 8"""
NOSY: Final = """SELECT total_fee, COUNT(*) AS claims
FROM claim WHERE hospital_id = 'H0007' AND total_fee = 88.5
GROUP BY total_fee"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Who tells (the gateway) and where (the terminal)."""

    gateway: Gateway
    terminal: Terminal

    def act(self, zh: str, en: str) -> None:
        """A caption."""
        self.terminal.line("")
        self.terminal.line("━━ " + self.terminal.say(Words(zh, en)), "bold cyan")

    def asks(self, person: Person, grant: str, sql: str) -> Request:
        """Show who asks what; the request."""
        first, *rest = sql.splitlines()
        self.terminal.line(f"{person.name} @ {grant} › {first}", "yellow")
        for line in rest:
            self.terminal.line(f"    {line}", "yellow")
        self.terminal.line("")
        return Request(new_id(), person, grant, sql, None, dt.datetime.now(dt.UTC))

    def query(self, person: Person, grant: str, sql: str) -> Answer | None:
        """Ask, and show the answer or the refusal; the answer."""
        found = self.gateway.query(self.asks(person, grant, sql))
        if isinstance(found, Refused):
            self.terminal.refused(found.reasons, found.request)
            return None
        left = [b for b in self.gateway.budget(person) if b.account.startswith(f"{found.grant}/")]
        screens.answer(self.terminal, found, left if found.price is not None else [])
        return found


def run(
    home: Home,
    *,
    once: bool,
    residents: int = 100_000,
    console: Console,
    spoken: tuple[Lang, ...] = ("zh", "en"),
) -> None:
    """Prepare the home, tell the story, then serve until interrupted (``once``: end instead).

    ``residents``: size of the invented province.  ``spoken``: the languages of the captions.
    """
    begun = time.monotonic()
    terminal = Terminal(spoken)
    terminal.out = terminal.err = console
    stage = Stage(open_gateway(confined_as_can_be(home, terminal)), terminal)
    try:
        stage.act(
            "准备：写出数据源，校验入库，发布快照", "Sources are written, checked and published as snapshots"
        )
        stock(home, residents, terminal)
        people = logins(home)
        _introduce(stage, people)
        for act in ACTS:
            act(stage)
        spent = f"{time.monotonic() - begun:.0f}"
        stage.act(f"演示完毕，用时 {spent} 秒", f"The end of the story, after {spent} s")
    except BaseException:
        stage.gateway.close()
        raise
    if once:
        stage.gateway.close()
    else:
        _serve(home, stage, people)


def confined_as_can_be(home: Home, terminal: Terminal) -> Home:
    """The home with its floor at what this machine reaches, which is said where it is below the setting.

    A demonstration shows made and public data; ``sandbox serve`` would refuse instead.
    """
    reached = level(confinement.available())
    if meets(confinement.available(), Floor(home.floor)) and reached is Floor.BOX:
        return home
    missing = ", ".join(sorted(set(Layer) - confinement.available()))
    terminal.line(
        terminal.say(
            Words(
                f"注意：本机查询进程缺少隔离层 {missing}，见 sandbox doctor",
                f"Beware: query workers run without these layers here: {missing}; see `sandbox doctor`",
            )
        ),
        "yellow",
    )
    return replace(
        home, settings=replace(home.settings, worker=replace(home.settings.worker, floor=reached.value))
    )


def _introduce(stage: Stage, people: tuple[Login, ...]) -> None:
    stage.act(
        "人员与令牌（令牌只显示一次，一天内有效）", "People and their tokens (shown once, good for a day)"
    )
    rows = ([p.person.name, p.person.organisation, stage.terminal.say(p.part), p.token] for p in people)
    stage.terminal.table(("name", "organisation", "part", "token"), rows)


def _catalogue(stage: Stage) -> None:
    stage.act("目录：一家运营单位看得到什么", "Catalogue: what one operator can see")
    screens.catalog(stage.terminal, stage.gateway.catalog(CREDIT))


def _explain(stage: Stage) -> None:
    stage.act(
        "先问代价：推导、费用、预计误差，不花预算",
        "Ask the price first: derivation, cost, predicted error; free",
    )
    found = stage.gateway.explain(stage.asks(ANALYST, HEALTH, CLAIMS))
    if isinstance(found, Refused):
        stage.terminal.refused(found.reasons, found.request)
    else:
        screens.explained(stage.terminal, found)


def _answer(stage: Stage) -> None:
    stage.act("差分隐私答案，逐格带误差", "A differentially private answer, every cell with its error")
    found = stage.query(ANALYST, HEALTH, CLAIMS)
    if found is not None:
        _beside(stage, found)
    stage.act("真实数据：2013 年纽约出港航班", "Real data: every flight out of New York City in 2013")
    stage.query(AVIATION, AIR, SHARES)


def _beside(stage: Stage, found: Answer) -> None:
    """Each noisy column's error as predicted from public facts alone, beside what it came to be."""
    heads = [stage.terminal.say(w) for w in (Words("列", "column"), Words("预计", "predicted"))]
    heads.append(stage.terminal.say(Words("实际声明（中位数）", "stated (median)")))
    rows = []
    for column, margins in zip(found.columns, margins_of(found), strict=True):
        known = [m for m in margins if m is not None]
        if column.noisy:
            stated = f"±{median(known):.4g}" if known else NONE
            rows.append([column.name, column.predicted or NONE, stated])
    stage.terminal.line("")
    stage.terminal.table(heads, rows, frozenset({1, 2}))


def _again(stage: Stage) -> None:
    stage.act("同一问题再问一次：答案相同，不再收费", "The same question again: the same answer, free")
    stage.query(ANALYST, HEALTH, CLAIMS)


def _exact(stage: Stage) -> None:
    stage.act("精确答案：只从已发布的网格取数", "An exact answer, from the published grid alone")
    stage.query(CREDIT, POWER, KWH)


def _refusal(stage: Stage) -> None:
    stage.act("拒绝，并说明全部理由和改法", "A refusal gives every reason, and what to do")
    stage.query(ANALYST, HEALTH, NOSY)


def _freeze(stage: Stage) -> None:
    stage.act("一键冻结；解除须两人", "A freeze stops queries at once; lifting it takes two people")
    frozen = stage.gateway.freeze(BUREAU, Scope.GRANT, HEALTH, "演练 / drill")
    stage.query(ANALYST, HEALTH, CLAIMS)
    stage.gateway.lift(BUREAU, frozen.id)
    stage.terminal.lines(
        [Words("bureau 同意解除；再次由同一人确认：", "bureau agrees; confirmed by the same person:")], ""
    )
    try:
        stage.gateway.lift(BUREAU, frozen.id)
    except Refusal as refusal:
        stage.terminal.refused(refusal.reasons)
    stage.gateway.lift(SECOND, frozen.id)
    stage.terminal.lines([Words("bureau-2 确认，冻结解除。", "bureau-2 confirms: the freeze is lifted.")], "")


def _budget(stage: Stage) -> None:
    stage.act(
        "预算：每项授权与每个数据集各有一本账", "Budgets: every grant and every dataset has its account"
    )
    screens.budget(stage.terminal, stage.gateway.budget(BUREAU))


def _log(stage: Stage) -> None:
    stage.act("审计日志：每一个出口都有记录", "The audit log: every exit is an entry")
    page = stage.gateway.log(BUREAU, LogFilter(limit=18))
    log_screens.log(stage.terminal, page)


ACTS: Final[tuple[Callable[[Stage], None], ...]] = (
    _catalogue,
    _explain,
    _answer,
    _again,
    _exact,
    _refusal,
    _freeze,
    _budget,
    _log,
)


def _serve(home: Home, stage: Stage, people: tuple[Login, ...]) -> None:
    from sandbox.doors import server

    settings = home.settings
    address = f"http://{settings.host}:{settings.port}"
    token = next(p.token for p in people if p.person == cast.AVIATION)
    stage.act(
        f"服务地址 {address}/v1，接口文档 {address}/openapi.json",
        f"Serving {address}/v1, described by {address}/openapi.json",
    )
    opened = f"{address}/console"
    stage.terminal.lines(
        [
            Words(
                f"控制台 {opened}：用上面任何一人的令牌登录",
                f"The console is at {opened}: sign in with anybody's token",
            )
        ]
    )
    body = (
        '{"grant": "G-FLIGHTS-DP", "sql": "SELECT origin, COUNT(*) AS flights FROM flights GROUP BY origin"}'
    )
    stage.terminal.line(f"curl -s {address}/v1/queries -H 'Authorization: Bearer {token}' \\")
    stage.terminal.line(f"     -H 'Content-Type: application/json' -d '{body}'")
    stage.terminal.lines([Words("按 Ctrl-C 结束", "Ctrl-C ends it")])
    server.serve(home, stage.gateway)
