"""Commands that keep a home: init, ingest, freeze, lift; and those of ``cli_people``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from sandbox.doors import wire
from sandbox.doors.cli_base import (
    BUREAU,
    AsOption,
    HomeOption,
    JsonOption,
    LangOption,
    command,
    find_home,
    gateway_of,
    office,
    terminal_of,
    utc_now,
)
from sandbox.doors.cli_people import people, show_token
from sandbox.doors.terminal import Terminal
from sandbox.errors import Code, refuse
from sandbox.home import create_home, default_path
from sandbox.model import Person, Words
from sandbox.policy.documents import Dataset
from sandbox.policy.load import load
from sandbox.snapshot import Ingested, Progress, ingest
from sandbox.snapshot.manifest import ReasonCount
from sandbox.store.accounts import Accounts
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database
from sandbox.store.freezes import Freeze, Scope

SUFFIXES: Final = (".parquet", ".csv", "")
"""A table's source in a folder: a file with its name, or a folder of files."""


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    command(app, "init")(init)
    command(app, "ingest")(ingest_dataset)
    app.add_typer(people)
    command(app, "freeze")(freeze)
    command(app, "lift")(lift)


def init(as_json: JsonOption = False, home: HomeOption = None, lang: LangOption = None) -> None:
    """Make a home and print the bureau's first token, once.  新建沙箱目录并签发首个令牌。"""
    terminal = terminal_of(lang, as_json)
    here = create_home(home if home is not None else default_path())
    database = Database(here.store)
    try:
        now, person = utc_now(), Person(BUREAU, "bureau", BUREAU)
        with database.write():
            token = Accounts(database).issue(person, "init", now)
            AuditLog(database).append(
                Event.START, time=now, person=person.name, organisation=person.organisation
            )
    finally:
        database.close()
    show_token(terminal, person, token)


def ingest_dataset(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Id of the dataset. 数据集")],
    source: Annotated[
        list[str] | None, typer.Option("--source", metavar="TABLE=PATH", help="Source of one table. 单表来源")
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option(
            "--sources", help="Folder with <table>.parquet, .csv or folders. 来源目录 [sources/DATASET]"
        ),
    ] = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Publish a snapshot from files; the one in force stays until then.  导入并发布快照。"""
    terminal, here = terminal_of(lang, as_json), find_home(home)
    with office(here, name) as found:
        found.only("bureau", "owner")
        rule = load([here.policies]).dataset(dataset)
        if rule is None:
            raise refuse(Code.NOT_FOUND, f"dataset {dataset}")
        files = _files(rule, source or [], sources or here.sources / dataset)
        with _bar(terminal) as progress:
            done = ingest(rule, files, here.snapshots, now=utc_now(), progress=progress)
        manifest, bad = done.manifest, done.quarantine.rows
        found.note(Event.INGEST, dataset=dataset, snapshot=manifest.id, quarantined=bad)
    _ingested(terminal, done)


def _files(rule: Dataset, given: list[str], folder: Path) -> Mapping[str, Path]:
    """The source of each table: as given, else what the folder holds under the table's name."""
    found: dict[str, Path] = {}
    for text in given:
        table, equals, path = text.partition("=")
        if not equals or rule.table(table) is None or table in found:
            raise typer.BadParameter(f"--source takes TABLE=PATH, once for each table of {rule.id}")
        found[table] = Path(path)
    for name in (t.name for t in rule.tables if t.name not in found):
        there = next((p for p in (folder / f"{name}{suffix}" for suffix in SUFFIXES) if p.exists()), None)
        if there is not None:
            found[name] = there
    return found


@contextmanager
def _bar(terminal: Terminal) -> Iterator[Progress | None]:
    """A progress bar on stderr while a terminal watches."""
    if terminal.as_json:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=terminal.err, transient=True) as bars:
        task = bars.add_task("", total=None)

        def progress(stage: str, table: str, done: int, total: int) -> None:
            words = _STAGES.get(stage, Words(stage, stage))
            text = f"{terminal.say(words)} {table}".rstrip()
            bars.update(task, description=text, completed=done, total=total)

        yield progress


_STAGES: Final = {
    "read": Words("读取", "read"),
    "check": Words("校验", "check"),
    "units": Words("隐私单元编号", "number units"),
    "write": Words("写入", "write"),
    "cube": Words("计算网格", "cube"),
    "hash": Words("校验和", "hash"),
}


def _ingested(terminal: Terminal, done: Ingested) -> None:
    manifest = done.manifest
    if terminal.as_json:
        terminal.json({"dataset": manifest.dataset, "snapshot": manifest.id, "tables": _counts(done)})
        return
    terminal.lines(
        [Words(f"已发布 {manifest.dataset} {manifest.id}", f"published {manifest.dataset} {manifest.id}")],
        "bold",
    )
    heads = [terminal.say(w) for w in (Words("表", "table"), Words("读入", "in"), Words("发布", "published"))]
    heads += [terminal.say(w) for w in (Words("隔离", "quarantined"), Words("原因", "reasons"))]
    rows = (
        [t.name, f"{t.rows_in:,}", f"{t.published:,}", f"{t.quarantined:,}", _reasons(t.reasons)]
        for t in done.quarantine.tables
    )
    terminal.table(heads, rows, frozenset({1, 2, 3}))
    for table in done.quarantine.tables:
        if table.cube is not None:
            live, gone = f"{table.cube.surviving:,}", f"{table.cube.withheld:,}"
            zh, en = (
                f"{table.name} 网格：{live} 格发布，{gone} 格不发布",
                f"{table.name} grid: {live} cells, {gone} withheld",
            )
            terminal.lines([Words(zh, en)])


def _reasons(reasons: tuple[ReasonCount, ...]) -> str:
    return ", ".join(f"{r.reason} {r.column}".rstrip() + f": {r.rows:,}" for r in reasons)


def _counts(done: Ingested) -> list[wire.Json]:
    return [
        {
            "name": t.name,
            "rows_in": t.rows_in,
            "published": t.published,
            "quarantined": t.quarantined,
            "reasons": [{"reason": r.reason, "column": r.column, "rows": r.rows} for r in t.reasons],
        }
        for t in done.quarantine.tables
    ]


def freeze(
    scope: Annotated[Scope, typer.Argument(help="What to stop. 范围")],
    reason: Annotated[str, typer.Option("--reason", help="Why. 原因")],
    target: Annotated[str, typer.Argument(help="Its id; none for everything. 对象")] = "",
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Stop queries at once.  立即冻结。"""
    if (scope is Scope.EVERYTHING) != (not target) or not reason:
        raise typer.BadParameter("name a target for every scope but everything, and a reason")
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.freeze(person, scope, target, reason)
    _frozen(terminal, found)


def lift(
    id: Annotated[int, typer.Argument(metavar="ID", help="Number of the freeze. 冻结编号")],
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Approve the lifting of a freeze; a second person completes it.  解除冻结（须两人）。"""
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.lift(person, id)
    _frozen(terminal, found)


def _frozen(terminal: Terminal, found: Freeze) -> None:
    if terminal.as_json:
        terminal.json(wire.freeze(found))
        return
    state = Words("已冻结", "frozen")
    if found.lifted_by is not None:
        state = Words("已解除", "lifted")
    elif found.approved_by is not None:
        state = Words("待第二人确认解除", "frozen until a second person confirms")
    told = f"#{found.id} {found.subject}"
    terminal.lines([Words(f"{state.zh}：{told}", f"{state.en}: {told}")], "")
