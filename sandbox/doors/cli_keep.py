"""Commands that keep a home: init, ingest, freeze, lift; and those of ``cli_people``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from sandbox.casework.documents import in_force
from sandbox.doors import wire
from sandbox.doors.cli_base import (
    BUREAU,
    AsOption,
    HomeOption,
    JsonOption,
    LangOption,
    Office,
    command,
    find_home,
    gateway_of,
    office,
    terminal_of,
    utc_now,
)
from sandbox.doors.cli_people import people, show_token
from sandbox.doors.ingesting import progress_bar, show_ingested, show_loads
from sandbox.doors.sourcing import feeds, origins
from sandbox.doors.terminal import Terminal
from sandbox.errors import Code, Refusal, refuse
from sandbox.home import STORE, create_home, default_path
from sandbox.model import Person, Words
from sandbox.policy.documents import Dataset
from sandbox.policy.roles import Action, may
from sandbox.snapshot import Feed, Manifest, Snapshot, ingest, read_key
from sandbox.snapshot.due import due
from sandbox.snapshot.publish import home_of
from sandbox.snapshot.retire import retire
from sandbox.store.accounts import Accounts
from sandbox.store.answers import Answers
from sandbox.store.audit import AuditLog, Event
from sandbox.store.cases import Cases
from sandbox.store.database import Database
from sandbox.store.freezes import Drill, Freeze, Scope
from sandbox.store.log.hashing import HASHES, SHA256, SM3
from sandbox.store.log.note import NAME
from sandbox.store.log.transparency import begin

SUFFIXES: Final = (".parquet", ".csv", "")
"""A table's source in a folder: a file with its name, or a folder of files."""


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    command(app, "init")(init)
    command(app, "ingest")(ingest_dataset)
    app.add_typer(people)
    command(app, "freeze")(freeze)
    command(app, "lift")(lift)


class HashName(StrEnum):
    """What ``--hash`` takes."""

    SHA256 = SHA256.name
    SM3 = SM3.name


def init(
    hash: Annotated[HashName, typer.Option("--hash", help="The log's hash function. 日志散列算法")] = (
        HashName.SHA256
    ),
    origin: Annotated[str, typer.Option("--origin", help="The log's name, else random. 日志名称")] = "",
    store: Annotated[str, typer.Option("--store", help="A file, or postgresql://… . 账本库")] = STORE,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Make a home, begin its log, and print the bureau's first token, once.  新建沙箱目录并签发首个令牌。"""
    if not NAME.fullmatch(origin or "-"):
        raise typer.BadParameter("the log's name has no space and no plus sign")
    terminal = terminal_of(lang, as_json)
    here = create_home(home if home is not None else default_path(), store)
    database = Database(here.store)
    try:
        begin(database, here.log, origin, HASHES[hash.value])
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
    *,
    source: Annotated[
        list[str] | None, typer.Option("--source", metavar="TABLE=PATH", help="Source of one table. 单表来源")
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option(
            "--sources", help="Folder with <table>.parquet, .csv or folders. 来源目录 [sources/DATASET]"
        ),
    ] = None,
    scheduled: Annotated[
        bool, typer.Option("--schedule", help="Only if due by the document; a failure is an alert. 按期导入")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Read all rows, of incremental tables too. 全量读取")
    ] = False,
    drift: Annotated[
        bool, typer.Option("--accept-drift", help="Publish beyond the bounds of `expect`. 接受漂移")
    ] = False,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Publish a snapshot from source documents or files.  导入并发布快照。

    A table is read from what ``--source`` names, else from the source document that feeds it, else from a
    file or folder of its name.  The snapshot in force stays until the new one is whole.
    """
    terminal, here = terminal_of(lang, as_json), find_home(home)
    with office(here, name) as found, alarmed(found, dataset, scheduled):
        found.only(Action.INGEST)
        documents = in_force(here.policies, Cases(found.database, AuditLog(found.database)))
        rule = documents.dataset(dataset)
        if rule is None:
            raise refuse(Code.NOT_FOUND, f"dataset {dataset}")
        if scheduled and not due(rule.snapshot, _last(here.snapshots, dataset), utc_now()):
            _not_due(terminal, dataset)
            return
        given = _given(rule, source or [])
        found_here = _files(rule, sources or here.sources / dataset)
        with feeds(here, rule, documents) as fed, progress_bar(terminal) as progress:
            read: dict[str, Path | Feed] = {**found_here, **fed, **given}

            def announce(made: Manifest) -> None:
                words = loads(made) | ({"drift": "accepted"} if drift else {})
                bad = sum(t.quarantined for t in made.tables)
                found.note(Event.INGEST, dataset=dataset, snapshot=made.id, quarantined=bad, **words)

            now = utc_now()
            key = read_key(here.settings.encryption.key, here.path)
            done = ingest(
                rule,
                read,
                here.snapshots,
                now=now,
                progress=progress,
                announce=announce,
                key=key,
                origins=origins(rule, documents, {**found_here, **given}, frozenset(given)),
                full=full,
                drift=drift,
            )
        retired = retire_snapshots(found, rule)
    show_ingested(terminal, done)
    if retired and not as_json:
        terminal.lines([Words(f"按期清除旧快照 {retired} 个", f"earlier snapshots removed: {retired}")], "")
    if not as_json and may(found.person, Action.PROFILE):
        show_loads(terminal, done)


def retire_snapshots(found: Office, rule: Dataset) -> int:
    """Remove the snapshots that the document keeps no longer and no kept answer was made from; how many."""

    def announce(gone: tuple[Snapshot, ...]) -> None:
        found.note(Event.PURGE, dataset=rule.id, snapshots=" ".join(s.id for s in gone))

    needed = Answers(found.database).snapshots
    return len(retire(found.home.snapshots, rule, needed, utc_now(), announce))


def loads(made: Manifest) -> dict[str, str]:
    """How incremental tables were read, and which of them restate rows of before: no counts."""
    grown = {t.name: t.load for t in made.tables if t.load is not None}
    told = {"loads": " ".join(f"{name}:{load.mode}" for name, load in grown.items())}
    told["restated"] = " ".join(name for name, load in grown.items() if load.restated)
    return {name: words for name, words in told.items() if words}


@contextmanager
def alarmed(found: Office, dataset: str, scheduled: bool) -> Iterator[None]:
    """What fails with nobody watching, and a source that drifted, is an alert in the log."""
    try:
        yield
    except Refusal as refusal:
        if scheduled or refusal.code is Code.DRIFT:
            AuditLog(found.database).append(
                Event.ALERT,
                time=utc_now(),
                person=found.person.name,
                organisation=found.person.organisation,
                datasets=[dataset],
                decision="alarm",
                codes=[reason.code.id for reason in refusal.reasons],
                payload={"alarm": "ingestion"},
            )
        raise


def _last(root: Path, dataset: str) -> dt.datetime | None:
    """When the snapshot in force was made."""
    manifest = home_of(root, dataset).in_force()
    return None if manifest is None else dt.datetime.fromisoformat(manifest.created)


def _not_due(terminal: Terminal, dataset: str) -> None:
    if terminal.as_json:
        terminal.json({"dataset": dataset, "snapshot": None})
    else:
        terminal.lines([Words(f"{dataset}：本期已导入", f"{dataset}: this period has its snapshot")], "")


def _given(rule: Dataset, given: list[str]) -> Mapping[str, Path]:
    """The sources that the command names."""
    found: dict[str, Path] = {}
    for text in given:
        table, equals, path = text.partition("=")
        if not equals or rule.table(table) is None or table in found:
            raise typer.BadParameter(f"--source takes TABLE=PATH, once for each table of {rule.id}")
        found[table] = Path(path)
    return found


def _files(rule: Dataset, folder: Path) -> Mapping[str, Path]:
    """What the folder holds under the tables' names."""
    found: dict[str, Path] = {}
    for name in (t.name for t in rule.tables):
        there = next((p for p in (folder / f"{name}{suffix}" for suffix in SUFFIXES) if p.exists()), None)
        if there is not None:
            found[name] = there
    return found


def freeze(
    scope: Annotated[Scope, typer.Argument(help="What to stop. 范围")],
    reason: Annotated[str, typer.Option("--reason", help="Why. 原因")],
    target: Annotated[str, typer.Argument(help="Its id; none for everything. 对象")] = "",
    *,
    drill: Annotated[bool, typer.Option("--drill", help="Only say what it would stop. 演练")] = False,
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
        if drill:
            _drilled(terminal, gateway.drill(person, scope, target, reason))
            return
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


def _drilled(terminal: Terminal, found: Drill) -> None:
    if terminal.as_json:
        terminal.json(wire.drill(found))
        return
    told, grants = found.freeze.subject, " ".join(found.grants) or "–"
    zh = f"演练，未冻结：{told}；将停止授权 {grants}，执行中的查询 {found.running} 项"
    en = f"drill, nothing is frozen: {told}; it would stop grants {grants}, {found.running} queries at work"
    terminal.lines([Words(zh, en)], "")


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
