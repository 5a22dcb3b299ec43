"""Commands on the audit log's proofs: verify, prove, checkpoint, export, rotate, witness, purge."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from sandbox.casework.documents import in_force
from sandbox.doors import screens, wire
from sandbox.doors.cli_base import (
    BUREAU,
    AsOption,
    HomeOption,
    JsonOption,
    LangOption,
    command,
    find_home,
    gateway_of,
    group,
    office,
    read_text,
    terminal_of,
    utc_now,
)
from sandbox.errors import Code, refuse
from sandbox.model import Words
from sandbox.policy.roles import Action
from sandbox.stages.balances import totals
from sandbox.store.audit import AuditLog
from sandbox.store.cases import Cases
from sandbox.store.ledger import MOST
from sandbox.store.log import recovery
from sandbox.store.log.export import Format

audit = group("audit", "Proofs of the audit log.  审计日志证明。")

HeldOption = Annotated[
    Path | None, typer.Option("--held", help="A checkpoint that you held. 此前持有的检查点文件")
]
OutputOption = Annotated[Path | None, typer.Option("--output", help="Write here. 写入文件")]


@command(audit, "verify")
def verify(
    *,
    held: HeldOption = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Hash every entry anew and compare with what was signed.  核验全部日志。"""
    terminal, signed = terminal_of(lang, as_json), "" if held is None else read_text(held)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.desk.verify(person, signed)
    if as_json:
        terminal.json({"entries": found.entries, "purged": found.purged, "tiles": found.tiles})
        return
    zh = f"{found.entries} 条记录与签名一致；{found.purged} 条的个人部分已依法删除；重建 {found.tiles} 个瓦片"
    en = f"{found.entries} entries are what was signed; the personal part of {found.purged} was deleted; "
    terminal.lines([Words(zh, f"{en}{found.tiles} tiles made again")], "")


@command(audit, "prove")
def prove(
    seq: Annotated[
        int | None, typer.Argument(metavar="[SEQ]", min=0, max=MOST, help="Number of an entry. 记录编号")
    ] = None,
    *,
    held: HeldOption = None,
    output: OutputOption = None,
    name: AsOption = BUREAU,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Write an entry's receipt, or the proof that the log begins with a held checkpoint.  出具证明。"""
    if (seq is None) == (held is None):
        raise typer.BadParameter("give the number of an entry, or --held")
    signed = "" if held is None else read_text(held)
    with gateway_of(home, name) as (gateway, person):
        desk = gateway.desk
        told = desk.held(signed) if seq is None else wire.receipt(desk.receipt(person, seq))
    write(output, (wire.text(told) + "\n",))


@command(audit, "checkpoint")
def checkpoint(
    *,
    output: OutputOption = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Print the signed head; with --json also keys and rotations.  输出签名检查点。"""
    with gateway_of(home, name) as (gateway, _):
        signed, told = gateway.desk.publish(), gateway.desk.head()
    write(output, (wire.text(told) + "\n" if as_json else signed,))


@command(audit, "export")
def export(
    *,
    form: Annotated[
        Format, typer.Option("--format", help="jsonl verifies; csv; ocsf for collectors. 格式")
    ] = Format.JSONL,
    start: Annotated[int, typer.Option("--start", min=0, max=MOST, help="From this entry on. 起始编号")] = 0,
    output: OutputOption = None,
    name: AsOption = BUREAU,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Write the log for other programs; the export is itself on record.  导出日志。"""
    with gateway_of(home, name) as (gateway, person):
        write(output, gateway.desk.export(person, form, start))


@command(audit, "rotate")
def rotate(
    *,
    output: OutputOption = None,
    name: AsOption = BUREAU,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Sign with a new key; writes the receipt that vouches for it.  轮换签名密钥。"""
    with gateway_of(home, name) as (gateway, person):
        told = gateway.desk.rotate(person)
    write(output, (wire.text(told) + "\n",))


@command(audit, "witness")
def witness(
    *,
    status: Annotated[bool, typer.Option("--status", help="Only show, send nothing. 仅查看")] = False,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Hand the signed head to every witness; show what each has.  推送检查点给见证方。"""
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        found = gateway.desk.witness(person, push=not status)
        size = gateway.desk.head()["size"]
    if as_json:
        terminal.json({"size": size, "witnesses": [wire.delivery(d) for d in found]})
        return
    for had in found:  # lines, no table: addresses are long, and are copied
        words = f"{had.size}/{size}  {had.time[:19]}  {had.trouble or 'ok'}  {had.place}"
        terminal.line(words, "red" if had.trouble else "")
    if not found:
        terminal.lines([Words("未设置见证方（witness.places）", "no witness is set (witness.places)")])


@command(audit, "purge")
def purge(
    *,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Delete what is older than the retention settings keep; on record.  按保留期删除。"""
    terminal = terminal_of(lang, as_json)
    with gateway_of(home, name) as (gateway, person):
        gone = gateway.desk.purge(person)
    if as_json:
        terminal.json(gone)
        return
    zh = f"已删除 {gone['personal']} 条记录的个人部分，{gone['answers']} 份留存答案"
    en = f"deleted the personal part of {gone['personal']} entries, and {gone['answers']} kept answers"
    terminal.lines([Words(zh, en)], "")


@command(audit, "recover")
def recover(
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes on record. 原因（记入日志）")],
    held: Annotated[
        list[Path] | None,
        typer.Option("--held", help="A checkpoint that a witness holds. 见证方持有的检查点"),
    ] = None,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Go on with a store from a backup, which lacks entries that were signed.  从备份恢复后继续。"""
    if not reason.strip():
        raise typer.BadParameter("a recovery has a reason")
    terminal, heads, place = (
        terminal_of(lang, as_json),
        [read_text(file) for file in held or ()],
        find_home(home),
    )
    with office(place, name) as here:
        here.only(Action.RECOVER)
        allowed = totals(in_force(place.policies, Cases(here.database, AuditLog(here.database))))
        found = recovery.recover(
            here.database, place.log, here.person, reason, utc_now(), held=heads, totals=allowed
        )
    if as_json:
        terminal.json({"recovered": None if found is None else wire.recovered(found)})
        return
    if found is None:
        terminal.lines([Words("已完成上次中断的恢复", "the recovery that was cut off is complete now")], "")
        return
    terminal.lines(list(screens.recovered(found)), "")


def write(path: Path | None, texts: Iterable[str]) -> None:
    """Text for programs, to a file or to stdout.  Refuses with ``Code.REQUEST`` what cannot be written."""
    if path is None:
        sys.stdout.writelines(texts)
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(texts)
    except OSError:
        hint = "name a file that you may write"
        raise refuse(Code.REQUEST, "a file cannot be written", hint, "请给出可写的文件") from None
