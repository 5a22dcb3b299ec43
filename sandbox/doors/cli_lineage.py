"""The command ``lineage``: from an answer, or a snapshot, back to what it was made from."""

from __future__ import annotations

from typing import Annotated

import typer

from sandbox.doors import wire
from sandbox.doors.cli_base import (
    BUREAU,
    AsOption,
    HomeOption,
    JsonOption,
    LangOption,
    command,
    find_home,
    office,
    terminal_of,
)
from sandbox.doors.terminal import Terminal
from sandbox.errors import Code, refuse
from sandbox.home import Home
from sandbox.model import Words
from sandbox.policy.roles import Action, may
from sandbox.snapshot.manifest import Manifest, Origin
from sandbox.snapshot.publish import home_of
from sandbox.store.database import Database
from sandbox.store.lineage import announced, read_by


def register(app: typer.Typer) -> None:
    """Add this command to the application."""
    command(app, "lineage")(lineage)


def lineage(
    of: Annotated[
        str,
        typer.Argument(metavar="ENTRY|DATASET@SNAPSHOT", help="An answer's entry, or a snapshot. 序号或快照"),
    ],
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Trace an answer or a snapshot back to its sources.  数据溯源。"""
    terminal, here = terminal_of(lang, as_json), find_home(home)
    with office(here, name) as found:
        found.only(Action.VERIFY)
        read = read_by(found.database, int(of)) if of.isdecimal() else None
        dataset, _, snapshot = of.partition("@")
        pairs = ((dataset, snapshot),) if read is None else read.snapshots
        made = [_made(here, found.database, *pair) for pair in pairs]
    if as_json:
        answer = None if read is None else {"request": read.request, "grant": read.grant}
        told = [
            {"entry": seq, "sha256": m.sha256, **wire.manifest(m, counts=may(found.person, Action.PROFILE))}
            for m, seq in made
        ]
        terminal.json({"answer": answer, "snapshots": told})
        return
    if read is not None:
        zh = f"答复 {read.request} · 授权 {read.grant} · 目录 {read.catalogue}"
        en = f"answer {read.request} · grant {read.grant} · catalogue {read.catalogue}"
        terminal.lines([Words(zh, en)], "bold")
    for manifest, seq in made:
        _show(terminal, manifest, seq)


def _made(here: Home, database: Database, dataset: str, snapshot: str) -> tuple[Manifest, int | None]:
    """A snapshot's manifest and its entry of the log.  Refuses with ``Code.NOT_FOUND``."""
    place = home_of(here.snapshots, dataset)
    if snapshot not in {path.name for path in place.snapshots()}:
        raise refuse(Code.NOT_FOUND, f"{dataset}@{snapshot}"[:80])
    return place.manifest(snapshot), announced(database, dataset, snapshot)


def _show(terminal: Terminal, manifest: Manifest, seq: int | None) -> None:
    who = f"{manifest.dataset}@{manifest.id}"
    zh = f"快照 {who} · 政策文件 {manifest.document} · 程序 {manifest.code} · 日志第 {seq} 条"
    en = f"snapshot {who} · document {manifest.document} · code {manifest.code} · log entry {seq}"
    terminal.lines([Words(zh, en)], "bold")
    heads = [Words("表", "table"), Words("读入", "in"), Words("发布", "published"), Words("来源", "from")]
    rows = (
        [t.name, f"{t.rows_in:,}", f"{t.published:,}", _words(t.origin, t.load.mode if t.load else "")]
        for t in manifest.tables
    )
    terminal.table([terminal.say(w) for w in heads], rows, frozenset({1, 2}))


def _words(origin: Origin | None, how: str) -> str:
    if origin is None:
        return "–"
    return " ".join(w for w in (origin.connector, origin.source, origin.table, *origin.where, how) if w)
