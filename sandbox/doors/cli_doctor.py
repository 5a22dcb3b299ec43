"""``sandbox doctor``: what this machine gives, what is missing, and what to do about it.

A check is a function that returns what it found; ``CHECKS`` is all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Final

import typer

from sandbox.doors import probing, tracing
from sandbox.doors.cli_base import HomeOption, JsonOption, LangOption, command, terminal_of
from sandbox.doors.notebook_service import missing
from sandbox.doors.terminal import Terminal
from sandbox.engine import found
from sandbox.engine.layers import ABOUT, Floor, Layer, level, meets
from sandbox.errors import Refusal
from sandbox.home import SETTINGS_FILE, Home, default_path, open_home
from sandbox.model import Words
from sandbox.store import starting
from sandbox.store.log.keys import Keys


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.  ``bad``: queries will be refused; ``cure``: what to do, if anything."""

    name: str
    there: bool
    said: Words
    cure: Words | None = None
    bad: bool = False


def layers(home: Home) -> Iterable[Finding]:
    """The layers around query workers, and whether they are what the settings ask for."""
    there = found.available()
    for layer in Layer:
        about = ABOUT[layer]
        cure = Words(about.cure_zh, about.cure_en) if layer not in there and about.cure_en else None
        yield Finding(layer.value, layer in there, Words(about.zh, about.en), cure)
    floor, reached = Floor(home.floor), level(there)
    fine = meets(there, floor)
    said = Words(f"要求 {floor}，实际 {reached}", f"asked for: {floor}; reached: {reached}")
    setting = f'worker.floor = "{reached}"'
    lower = Words(f"补齐上述缺失项，或设 {setting}", f"add what is missing, or set {setting}")
    yield Finding("worker.floor", fine, said, None if fine else lower, bad=not fine)


REPAIRED: Final = {
    "": Words("上次启动未作修复", "nothing had to be made again at the last start"),
    "tiles": Words(
        "上次启动时按账本库重建了日志瓦片", "the log's tiles were made again from the store at the last start"
    ),
    "checkpoint": Words(
        "上次启动时重新发布了缺失的日志检查点",
        "the log's published head was missing at the last start, and was made again",
    ),
}


def kept(home: Home) -> Iterable[Finding]:
    """What the last start repaired, and the queries that crashes cut off; nothing before there is a home."""
    if not (home.path / SETTINGS_FILE).exists():
        return
    try:
        started, cut_off = starting.last(home.store)
    except Refusal as refusal:
        reason = refusal.reasons[0]
        yield Finding("store", False, Words(reason.what("zh"), reason.what("en")), bad=True)
        return
    if started is None:
        yield Finding("repairs", True, Words("服务尚未启动过", "no service has started yet"))
        return
    cure = Words("运行 sandbox audit verify 全面核验", "run `sandbox audit verify` to check everything")
    yield Finding(
        "repairs", not started.repaired, REPAIRED[started.repaired], cure if started.repaired else None
    )
    said = Words(
        f"上次启动之前有 {cut_off} 个查询被中断：按已花费计",
        f"{cut_off} queries were cut off before the last start: they count as spent",
    )
    shown = Words("见 sandbox budget", "see `sandbox budget`")
    yield Finding("unfinished", not cut_off, said, shown if cut_off else None)


def log(home: Home) -> Iterable[Finding]:
    """The audit log's signing key, once the log has begun."""
    if not home.log.exists():
        return
    try:
        Keys(home.log / "keys").signer()
    except Refusal as refusal:
        reason = refusal.reasons[0]
        restore = Words("从备份恢复 log/keys", "restore log/keys from a backup")
        yield Finding("log.key", False, Words(reason.what("zh"), reason.what("en")), restore, bad=True)
        return
    yield Finding("log.key", True, Words("日志签名密钥可用", "the log's signing key can be used"))


def service(home: Home) -> Iterable[Finding]:
    """Whether the service of this home answers, and whether it could answer queries."""
    if not (home.path / SETTINGS_FILE).exists():
        return
    found = probing.readiness(home)
    if found == "ready":
        yield Finding("service", True, Words("服务在线且就绪", "it answers and is ready"))
    elif found is None:
        start = Words("运行 sandbox serve，并由 systemd 等守护", "run `sandbox serve` under a supervisor")
        yield Finding("service", False, Words("服务未在线", "nothing answers at its address"), start)
    else:
        said = Words(f"服务在线但未就绪：{found}", f"it answers and is not ready: {found}")
        look = Words("见上述各项与 docs/errors.md", "see above, and docs/errors.md")
        yield Finding("service", False, said, look, bad=True)


def traces(home: Home) -> Iterable[Finding]:
    """The collector of traces, where one is set."""
    place = home.settings.observe.traces
    if not place:
        return
    if tracing.missing():
        said = Words(
            "缺少发送链路追踪的库：服务无法启动", "the libraries are missing: the service will not start"
        )
        install = Words("pip install data-sandbox[telemetry]", "pip install data-sandbox[telemetry]")
        yield Finding("observe.traces", False, said, install, bad=True)
    elif probing.reachable(place):
        yield Finding("observe.traces", True, Words("收集端可达", "the collector can be reached"))
    else:
        said = Words("收集端不可达：追踪数据将丢弃", "the collector cannot be reached: traces are dropped")
        start = Words("启动收集端，或改 observe.traces", "start it, or change observe.traces")
        yield Finding("observe.traces", False, said, start)


def notebooks(home: Home) -> Iterable[Finding]:
    """Whether notebooks can be served, where the settings ask for them."""
    if not home.settings.notebooks.port:
        return
    lacking = missing()
    if lacking is None:
        yield Finding("notebooks", True, Words("笔记本可以提供", "notebooks can be served"))
        return
    off = Words("补齐后重启服务，或设 notebooks.port = 0", "add it and restart, or set notebooks.port = 0")
    yield Finding("notebooks", False, lacking, off)


CHECKS: Final[tuple[Callable[[Home], Iterable[Finding]], ...]] = (
    layers,
    kept,
    log,
    service,
    traces,
    notebooks,
)


def register(app: typer.Typer) -> None:
    """Add this command to the application."""
    command(app, "doctor")(doctor)


def doctor(home: HomeOption = None, lang: LangOption = None, as_json: JsonOption = False) -> None:
    """Say what this machine gives and what is missing; exit 1 if queries would be refused.  体检。"""
    terminal = terminal_of(lang, as_json)
    path = default_path() if home is None else home
    here = open_home(path) if home is not None or (path / SETTINGS_FILE).exists() else Home(path.absolute())
    findings = [finding for check in CHECKS for finding in check(here)]
    if as_json:
        terminal.json({"findings": [asdict(finding) for finding in findings]})
    else:
        show(terminal, findings)
    if any(finding.bad for finding in findings):
        raise typer.Exit(1)


def show(terminal: Terminal, findings: Iterable[Finding]) -> None:
    """Findings in the terminal: a line each, and what to do under those that want something."""
    for finding in findings:
        mark, style = ("✓", "green") if finding.there else ("✗", "red" if finding.bad else "yellow")
        terminal.line(f"{mark} {finding.name}: {terminal.say(finding.said)}", style)
        if finding.cure is not None:
            terminal.line(f"    {terminal.say(finding.cure)}")
