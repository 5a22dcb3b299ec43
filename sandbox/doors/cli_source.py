"""Commands on sources: add, list, test, discover, preview; and ``dataset draft`` from one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sandbox.doors.cli_base import (
    BUREAU,
    AsOption,
    HomeOption,
    JsonOption,
    LangOption,
    command,
    find_home,
    group,
    office,
    terminal_of,
)
from sandbox.doors.sourcing import SourceFeed, connected, known, table_of
from sandbox.errors import Code, refuse
from sandbox.home import Home
from sandbox.model import Words
from sandbox.policy.documents import Documents, SourceRule, SourceTable, Title
from sandbox.policy.load import Source, load, read
from sandbox.policy.mistakes import refusal
from sandbox.policy.roles import Action
from sandbox.store.audit import Event

if TYPE_CHECKING:
    from sandbox.snapshot.profile import TableProfile

source = group("source", "Where data come from.  数据源。")
dataset = group("dataset", "Dataset documents.  数据集文件。")

SourceArgument = Annotated[str, typer.Argument(metavar="SOURCE", help="Id of the source. 数据源标识")]
TablesOption = Annotated[
    list[str] | None, typer.Option("--table", metavar="NAME", help="This table only; repeat. 仅此表，可重复")
]


@command(source, "add")
def add(
    id: SourceArgument,
    *,
    connector: Annotated[str, typer.Option("--connector", help="As in postgresql or csv. 连接器")],
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", metavar="NAME=VALUE", help="A setting; secrets as env:NAME or file:PATH. 设置"
        ),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option("--table", metavar="DATASET.TABLE=NAME", help="What it feeds; repeat. 供给的表"),
    ] = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Write a source document under policies/sources.  新建数据源文件。"""
    from sandbox_connectors.registry import kind

    terminal, here = terminal_of(lang, as_json), find_home(home)
    with office(here, name) as found:
        found.only(Action.INGEST)
        lines = ["kind: source", f"id: {_quoted(id)}", f"connector: {_quoted(connector)}", "options:"]
        lines += [f"  {_quoted(k)}: {_quoted(v)}" for k, v in _pairs("--option", option or [])]
        if table:
            lines += ["tables:", *(f"  {_quoted(k)}: {_quoted(v)}" for k, v in _pairs("--table", table))]
        text = "\n".join(lines) + "\n"
        rule = _checked(text, id)
        kind(rule.connector).options(rule.options)
        _write(here.policies / "sources" / f"{rule.id}.yaml", text, load([here.policies]), rule)
        found.note(Event.POLICY, source=rule.id)
    if as_json:
        terminal.json({"source": rule.id})
    else:
        terminal.lines([Words(f"已新建数据源 {rule.id}", f"source {rule.id} was added")], "")


@command(source, "list")
def list_sources(as_json: JsonOption = False, home: HomeOption = None, lang: LangOption = None) -> None:
    """List sources and what they feed, without their settings.  列出数据源。"""
    terminal, here = terminal_of(lang, as_json), find_home(home)
    sources = load([here.policies]).sources
    if as_json:
        rows = [{"id": s.id, "connector": s.connector, "tables": sorted(s.tables)} for s in sources]
        terminal.json({"sources": rows})
        return
    heads = [
        terminal.say(w)
        for w in (Words("数据源", "source"), Words("连接器", "connector"), Words("供给", "feeds"))
    ]
    terminal.table(heads, ([s.id, s.connector, ", ".join(sorted(s.tables))] for s in sources))


@command(source, "test")
def check_source(
    id: SourceArgument,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Connect to a source.  测试连接。"""
    terminal, here = terminal_of(lang, as_json), find_home(home)
    with office(here, name) as found:
        found.only(Action.INGEST)
        with connected(here, known(load([here.policies]), id)) as connector:
            connector.test()
    if as_json:
        terminal.json({"source": id, "connected": True})
    else:
        terminal.lines([Words(f"{id}：连接成功", f"{id}: connected")], "")


@command(source, "discover")
def discover(
    id: SourceArgument,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """List a source's tables, columns and types.  列出数据源的表与列。"""
    terminal, here = terminal_of(lang, as_json), find_home(home)
    with office(here, name) as found:
        found.only(Action.INGEST)
        with connected(here, known(load([here.policies]), id)) as connector:
            tables = connector.discover()
    if as_json:
        rows = [
            {"name": t.name, "columns": [{"name": c.name, "type": str(c.type)} for c in t.columns]}
            for t in tables
        ]
        terminal.json({"source": id, "tables": rows})
        return
    heads = [terminal.say(w) for w in (Words("表", "table"), Words("列", "column"), Words("类型", "type"))]
    terminal.table(heads, ([t.name, c.name, str(c.type)] for t in tables for c in t.columns))


@command(source, "preview")
def preview(
    id: SourceArgument,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="As the source names it. 表")],
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Show the owner a table's columns and counts, and no value.  向数源单位显示列与计数。"""
    terminal, here = terminal_of(lang, as_json), find_home(home)
    with office(here, name) as found:
        found.only(Action.PROFILE)
        (profile,) = _profiles(here, known(load([here.policies]), id), [table])
        found.note(Event.READ, source=id, table=table)
    if as_json:
        columns = [
            {"name": c.name, "type": c.kind.value, "nulls": c.nulls, "distinct": c.distinct}
            for c in profile.columns
        ]
        counts = {"rows": profile.rows, "malformed": profile.malformed}
        terminal.json({"source": id, "table": table, **counts, "columns": columns})
        return
    rows, broken = f"{profile.rows:,}", f"{profile.malformed:,}"
    terminal.lines([Words(f"{rows} 行，{broken} 残行", f"{rows} rows, {broken} malformed")], "bold")
    words = (
        Words("列", "column"),
        Words("类型", "type"),
        Words("缺失", "missing"),
        Words("不同值", "different"),
    )
    lines = ([c.name, c.kind.value, f"{c.nulls:,}", f"{c.distinct:,}"] for c in profile.columns)
    terminal.table([terminal.say(w) for w in words], lines, frozenset({2, 3}))


@command(dataset, "draft")
def draft(
    *,
    id: Annotated[str, typer.Option("--id", help="Id of the dataset. 数据集标识")],
    from_source: Annotated[str, typer.Option("--source", help="Id of the source. 数据源标识")],
    title_zh: Annotated[str, typer.Option("--title-zh", help="Its title in Chinese. 中文名称")],
    title_en: Annotated[str, typer.Option("--title-en", help="Its title in English. 英文名称")],
    owner: Annotated[str, typer.Option("--owner", help="The organisation that owns it. 数源单位")],
    class_path: Annotated[str, typer.Option("--class", help="Classification, as in 能源/电力. 分类路径")],
    table: TablesOption = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Write a dataset document, closed, with what data suggest as comments.  起草数据集文件。"""
    from sandbox.snapshot.proposal import Heading, propose

    terminal, here = terminal_of(lang, as_json), find_home(home)
    with office(here, name) as found:
        found.only(Action.PROFILE)  # its comments hold bounds and values
        rule = known(load([here.policies]), from_source)
        heading = Heading(id, Title(title_zh, title_en), owner, class_path)
        written = propose(heading, _profiles(here, rule, table))
        found.note(Event.READ, source=from_source, dataset=id)
    if as_json:
        terminal.json({"dataset": written})
    else:
        terminal.raw(written)


@command(dataset, "quarantine")
def quarantine(
    id: Annotated[str, typer.Argument(metavar="DATASET", help="Id of the dataset. 数据集标识")],
    table: Annotated[str, typer.Argument(metavar="TABLE", help="One of its tables. 表")],
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Show the owner the rows that the snapshot in force left out, as CSV.  向数源单位显示隔离数据。"""
    from sandbox.snapshot import current, read_key
    from sandbox.snapshot.quarantined import quarantined

    terminal, here = terminal_of(lang, as_json), find_home(home)
    with office(here, name) as found:
        found.only(Action.PROFILE)
        snapshot = current(here.snapshots, id)
        if snapshot.manifest.table(table) is None:
            raise refuse(Code.NOT_FOUND, f"table {id}.{table}"[:80])
        key = read_key(here.settings.encryption.key, here.path)
        written = quarantined(here.snapshots, snapshot, table, key)
        found.note(Event.READ, dataset=id, table=table, quarantine=snapshot.id)
    if as_json:
        terminal.json({"quarantine": written})
    else:
        terminal.raw(written)


def _profiles(here: Home, rule: SourceRule, names: Sequence[str] | None) -> list[TableProfile]:
    """What the tables of a source look like: these, or all of them."""
    from sandbox.snapshot.profile import profile

    hidden = bool(here.settings.encryption.key)
    with connected(here, rule) as connector:
        chosen = names or [t.name for t in connector.discover()]
        return [
            profile(
                name,
                SourceFeed(connector, SourceTable(table_of(connector, name).name)),
                here.spill,
                hidden=hidden,
            )
            for name in chosen
        ]


def _pairs(what: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    found = [text.partition("=") for text in texts]
    if not all(name and equals and value for name, equals, value in found):
        raise typer.BadParameter(f"{what} takes NAME=VALUE")
    return [(name, value) for name, _, value in found]


def _checked(text: str, id: str) -> SourceRule:
    checked = read([Source(f"{id}.yaml", text)])
    if checked.mistakes:
        raise refusal(checked.mistakes)
    return checked.documents.sources[0]


def _write(path: Path, text: str, documents: Documents, rule: SourceRule) -> None:
    """Write a new document, readable by its owner alone; one that is there already is left as it is."""
    hint, hint_zh = "choose another id, or edit the document", "请换一个标识，或直接编辑文件"
    if documents.source(rule.id) is not None:
        raise refuse(Code.REQUEST, f"source {rule.id} is there already", hint, hint_zh)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        raise refuse(Code.REQUEST, f"source {rule.id} cannot be written", hint, hint_zh) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())
