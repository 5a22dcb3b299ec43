"""Ingestion as a terminal shows it: a bar while it runs, then the quarantine report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from sandbox.doors import wire
from sandbox.doors.terminal import Terminal
from sandbox.model import Words
from sandbox.snapshot import Ingested, Progress
from sandbox.snapshot.manifest import ReasonCount


@contextmanager
def progress_bar(terminal: Terminal) -> Iterator[Progress | None]:
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


def show_ingested(terminal: Terminal, done: Ingested) -> None:
    """What was published, and what went to quarantine and why."""
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


def show_loads(terminal: Terminal, done: Ingested) -> None:
    """What incremental loads read and changed, for the owner."""
    for name, load in ((t.name, t.load) for t in done.manifest.tables if t.load is not None):
        told = (load.read, load.carried, load.added, load.changed, load.removed)
        zh = "{} 增量（{}）：读入 {:,}，沿用 {:,}；新增 {:,}，更正 {:,}，删除 {:,}".format(
            name, load.mode, *told
        )
        en = "{} load ({}): {:,} read, {:,} kept; {:,} added, {:,} changed, {:,} removed".format(
            name, load.mode, *told
        )
        terminal.lines([Words(zh, en)], "")


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
