"""Commands on policy documents: check, test, diff, draft, schema."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sandbox.doors.asking import new_id
from sandbox.doors.cli_base import (
    HomeOption,
    JsonOption,
    LangOption,
    command,
    find_home,
    group,
    read_text,
    terminal_of,
    utc_now,
)
from sandbox.doors.needs import needs
from sandbox.doors.ports import Gateway, open_gateway
from sandbox.doors.terminal import Terminal
from sandbox.doors.wire import words
from sandbox.errors import Code, refuse
from sandbox.model import Person, Refused, Request, Words
from sandbox.policy.cases import PolicyCase, cases
from sandbox.policy.diff import differences
from sandbox.policy.documents import Documents, Mode, Scenario, Title
from sandbox.policy.draft import Terms, draft
from sandbox.policy.load import QUERIES_SUFFIX, check, load
from sandbox.policy.mistakes import refusal
from sandbox.policy.schema import RECORDS, schema_of

PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[PATH]...", help="Files or folders; the home's if none. 文件或目录"),
]

policy = group("policy", "Policy documents.  政策文件。")


@command(policy, "check")
def check_documents(
    paths: PathsArgument = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Read documents and name every mistake.  校验政策文件。"""
    terminal = terminal_of(lang, as_json)
    checked = check(paths or [find_home(home).policies])
    if checked.mistakes:
        raise refusal(checked.mistakes)
    datasets, grants = checked.documents.datasets, checked.documents.grants
    products = checked.documents.products
    if as_json:
        ids = {"datasets": [d.id for d in datasets], "grants": [g.id for g in grants]}
        terminal.json(ids | {"products": [p.id for p in products]})
        return
    counts = (len(datasets), len(grants), len(products))
    terminal.lines(
        [
            Words(
                "有效：{} 个数据集，{} 个授权，{} 个产品".format(*counts),
                "valid: {} datasets, {} grants, {} products".format(*counts),
            )
        ],
        "",
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case and what became of it: ``answered`` or the codes of a refusal."""

    case: PolicyCase
    got: str

    @property
    def expected(self) -> str:
        """What should become of it."""
        return "answered" if self.case.refuse is None else self.case.refuse.id

    @property
    def passed(self) -> bool:
        """Whether it did; of several codes the first counts."""
        return self.got.split(" ", 1)[0] == self.expected


@command(policy, "test")
def run_cases(
    paths: PathsArgument = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Run the *.queries.yaml beside documents; nothing is spent.  运行随附查询用例。

    Ends with exit code 1 if any case came out otherwise than written.
    """
    terminal, here = terminal_of(lang, as_json), find_home(home)
    found = tuple(case for path in paths or [here.policies] for case in _cases(path))
    if not found:
        hint = f"name files, or folders that hold *{QUERIES_SUFFIX}"
        raise refuse(Code.REQUEST, "no cases here", hint, f"请给出含 *{QUERIES_SUFFIX} 的目录或文件")
    documents, gateway = load([here.policies]), open_gateway(here)
    try:
        outcomes = [_run(gateway, case, documents) for case in found]
    finally:
        gateway.close()
    _report(terminal, outcomes)
    if not all(o.passed for o in outcomes):
        raise typer.Exit(1)


def _cases(path: Path) -> Iterable[PolicyCase]:
    files = sorted(path.rglob(f"*{QUERIES_SUFFIX}")) if path.is_dir() else [path]
    return (case for file in files for case in cases(file))


def _run(gateway: Gateway, case: PolicyCase, documents: Documents) -> Outcome:
    """Explain the query as the grant's own organisation would."""
    grant = documents.grant(case.grant)
    person = Person("policy-test", "operator", grant.to if grant else "policy-test")
    result = gateway.explain(Request(new_id(), person, case.grant, case.sql, None, utc_now()))
    if isinstance(result, Refused):
        return Outcome(case, " ".join(dict.fromkeys(r.code.id for r in result.reasons)))
    return Outcome(case, "answered")


def _report(terminal: Terminal, outcomes: list[Outcome]) -> None:
    passed = sum(o.passed for o in outcomes)
    if terminal.as_json:
        rows = [
            {
                "file": o.case.file,
                "line": o.case.line,
                "grant": o.case.grant,
                "expected": o.expected,
                "got": o.got,
                "passed": o.passed,
            }
            for o in outcomes
        ]
        terminal.json({"cases": len(outcomes), "passed": passed, "outcomes": rows})
        return
    cells = (
        ["✓" if o.passed else "✗", f"{o.case.file}:{o.case.line}", o.case.grant, o.expected, o.got]
        for o in outcomes
    )
    terminal.table(("", "case", "grant", "expected", "got"), cells)
    terminal.lines(
        [Words(f"{len(outcomes)} 例中 {passed} 例符合", f"{passed} of {len(outcomes)} as written")], "bold"
    )


@command(policy, "diff")
def diff_documents(
    old: Annotated[Path, typer.Argument(help="Documents before. 变更前")],
    new: Annotated[Path, typer.Argument(help="Documents after. 变更后")],
    as_json: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Say what a change opens and closes.  说明变更放开与收紧的内容。"""
    terminal = terminal_of(lang, as_json)
    found = differences(load([old]), load([new]))
    if as_json:
        terminal.json({"differences": words(found)})
    elif found:
        terminal.lines(found, "")
    else:
        terminal.lines([Words("没有差别", "no difference")], "")


@command(policy, "draft")
def draft_grant(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="The query to grant, or a .sql file. 查询")],
    *,
    id: Annotated[str, typer.Option("--id", help="Id of the grant. 授权编号")],
    to: Annotated[str, typer.Option("--to", help="The operator. 被授权运营单位")],
    scenario: Annotated[str, typer.Option("--scenario", help="Id of the scenario. 场景编号")],
    title_zh: Annotated[str, typer.Option("--title-zh", help="Its title in Chinese. 场景中文名")],
    title_en: Annotated[str, typer.Option("--title-en", help="Its title in English. 场景英文名")],
    purpose: Annotated[str, typer.Option("--purpose", help="The declared purpose. 用途")],
    start: Annotated[str, typer.Option("--from", help="First day. 起始日")],
    until: Annotated[str, typer.Option("--until", help="Last day. 截止日")],
    mode: Annotated[Mode, typer.Option("--mode", help="How answers are protected. 保护方式")] = Mode.DP,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Write the grant that a query would need.  起草查询所需的授权。"""
    terminal, here = terminal_of(lang, as_json), find_home(home)
    datasets = load([here.policies]).datasets
    text = read_text(Path(sql)) if sql.endswith(".sql") else sql
    terms = Terms(to, Scenario(scenario, Title(title_zh, title_en)), purpose, _day(start), _day(until))
    written = draft(id, terms, needs(text, datasets, mode), datasets)
    if as_json:
        terminal.json({"grant": written})
    else:
        terminal.raw(written)


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("a day looks like 2025-07-01") from None


@command(policy, "schema")
def schema(
    kind: Annotated[
        str, typer.Argument(metavar="dataset|grant|source", help="The kind of document. 文件种类")
    ],
) -> None:
    """Print the JSON Schema of a kind of document, for editors.  输出 JSON Schema。"""
    if kind not in RECORDS:
        raise typer.BadParameter(f"one of: {', '.join(RECORDS)}")
    terminal_of(None, True).json(schema_of(kind))
