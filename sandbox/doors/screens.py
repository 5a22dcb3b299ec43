"""Answers, prices, and catalogues as a terminal shows them.  The JSON forms are in ``wire``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sandbox.catalogue import Column, Range, Table
from sandbox.doors import wire
from sandbox.doors.ports import GrantView
from sandbox.doors.terminal import Terminal
from sandbox.doors.values import NONE, Value, columns_of, margins_of, shown, with_margin
from sandbox.model import Answer, Balance, Explained, Price, Words
from sandbox.policy.documents import DpGuard, Grant
from sandbox.store.log.recovery import Recovered

MOST_ROWS: Final = 200
"""Rows shown before the rest is only counted."""
_LONGEST_LIST: Final = 8


def answer(terminal: Terminal, found: Answer, left: Iterable[Balance]) -> None:
    """The table, what it promises, what it cost and what is left."""
    columns = zip(found.columns, columns_of(found), margins_of(found), strict=True)
    cells = [_cells(values, margins, noisy=about.noisy) for about, values, margins in columns]
    numeric = frozenset(i for i, c in enumerate(found.columns) if c.kind.numeric)
    count = found.table.num_rows
    rows = ([column[i] for column in cells] for i in range(min(count, MOST_ROWS)))
    terminal.table([c.name for c in found.columns], rows, numeric)
    if count > MOST_ROWS:
        rest = count - MOST_ROWS
        terminal.lines(
            [Words(f"… 另有 {rest:,} 行：用 --csv 或 --arrow", f"… and {rest:,} more rows: --csv or --arrow")]
        )
    terminal.line("")
    if any(c.noisy for c in found.columns):
        terminal.lines([Words("± 为 95% 区间的半宽", "± is the half-width of a 95 % interval")])
    terminal.lines([*found.guarantee, *found.notes], "")
    terminal.lines([cost(found.price)])
    terminal.lines([remains(b) for b in left])
    terminal.lines([Words(f"审计日志第 {found.receipt} 条", f"entry {found.receipt} of the audit log")])


def _cells(values: list[Value], margins: list[float | None], *, noisy: bool) -> list[str]:
    """The cells of one column; margins end where margins end, so that the signs stand in line.

    A noisy value of which no interval is known says so.
    """
    if not noisy:
        return [shown(value) for value in values]
    pairs = [with_margin(v, m) for v, m in zip(values, margins, strict=True)]
    width = max((len(margin) for _, margin in pairs), default=0) or 1
    return [f"{value} ± {margin or NONE:>{width}}" for value, margin in pairs]


def cost(price: Price | None) -> Words:
    """The price as a sentence."""
    if price is None:
        return Words("不消耗隐私预算", "costs no privacy budget")
    epsilon, amount = wire.epsilon(price.epsilon), f"{price.nano:,} nano {price.measure}"
    if price.free:
        return Words("免费：答案已经发布过", "free: this was answered before")
    return Words(f"费用 ε = {epsilon}（{amount}）", f"cost: epsilon {epsilon} ({amount})")


def remains(balance: Balance) -> Words:
    """What an account still holds."""
    left = balance.limit - balance.spent
    percent = 100 * left / balance.limit if balance.limit else 0.0
    spent, most = f"{balance.epsilon_spent:.4g}", f"{balance.epsilon_limit:.4g}"
    return Words(
        f"{balance.account}：剩余 {percent:.1f}%（已用 ε ≤ {spent}，上限 {most}）",
        f"{balance.account}: {percent:.1f} % left (epsilon spent {spent} of {most})",
    )


def recovered(found: Recovered) -> Iterator[Words]:
    """What is lost, what was done about it, and what is to be done now."""
    lost, accounts = found.signed - found.entries, len(found.spent)
    yield Words(
        f"保留 {found.entries} 条记录；至少丢失 {lost} 条（已签名至第 {found.signed} 条）",
        f"{found.entries} entries are left; at least {lost} are lost, of {found.signed} that were signed",
    )
    proved = Words(
        "瓦片证明保留的记录正是已签名的前段", "the tiles prove that those left are the first of them"
    )
    unproved = Words(
        "瓦片不全，无法证明保留的记录未被改动", "the tiles are not whole: this cannot be proved of them"
    )
    yield proved if found.proved else unproved
    yield Words(
        f"{accounts} 个账户的剩余预算全部计为已用；需新的总额并经批准方可再用",
        f"all that was left of {accounts} accounts counts as spent; an approved higher total opens them",
    )
    yield Words(
        f"已全部冻结，并吊销 {found.tokens} 个令牌：备份之后的冻结、吊销、批准与事项须重新决定",
        f"everything is frozen, {found.tokens} tokens are revoked: decide anew what was decided since",
    )
    yield Words(
        f"日志以新名称继续；请将新公钥交给各方：{found.key}",
        f"the log goes on under a new name; hand its key to all who verify: {found.key}",
    )


def explained(terminal: Terminal, found: Explained) -> None:
    """The derivation, the price, and how good each column would be."""
    for text in found.derivation.lines():
        terminal.line(text)
    terminal.line("")
    terminal.lines([cost(found.price)], "bold")
    if found.mode == "dp":
        heads = [terminal.say(w) for w in (Words("列", "column"), Words("类型", "type"), _PREDICTED)]
        rows = ([c.name, c.kind.value, c.predicted or NONE if c.noisy else ""] for c in found.columns)
        terminal.table(heads, rows, frozenset({2}))
    terminal.lines(found.guarantee, "")


_PREDICTED: Final = Words("预计 95% 半宽", "predicted 95 % half-width")


def budget(terminal: Terminal, found: Sequence[Balance]) -> None:
    """The accounts of the ledger."""
    heads = ("account", "measure", "ε spent", "ε limit", "δ", "left %")
    rows = (
        [
            b.account,
            b.measure,
            f"{b.epsilon_spent:.4g}",
            f"{b.epsilon_limit:.4g}",
            f"{b.delta:.0e}" if b.delta else "0",
            f"{100 * (b.limit - b.spent) / b.limit:.1f}" if b.limit else "0.0",
        ]
        for b in found
    )
    terminal.table(heads, rows, frozenset({2, 3, 4, 5}))
    terminal.lines([told for b in found for told in _standing(b)])


def _standing(balance: Balance) -> Iterator[Words]:
    """What of an account waits for somebody."""
    if balance.awaiting is not None:
        raised = f"{balance.awaiting:.4g}"
        yield Words(
            f"{balance.account}：总额上调至 ε = {raised}，待主管部门批准（sandbox budget approve）",
            f"{balance.account}: raised to epsilon {raised}, awaits approval (sandbox budget approve)",
        )
    if balance.unfinished:
        held = f"{balance.unfinished:,} nano {balance.measure}"
        yield Words(
            f"{balance.account}：其中 {held} 属于没有结束记录的查询；仍在执行，或已中断且不退还",
            f"{balance.account}: {held} of it by queries without an end on record: at work, or cut off",
        )


def catalog(terminal: Terminal, views: Iterable[GrantView]) -> None:
    """Each grant with its tables and columns."""
    for view in views:
        grant = view.grant
        title = grant.scenario.title
        terminal.line(f"{grant.id}  {terminal.say(Words(title.zh, title.en))}", "bold")
        terminal.line(f"  {grant.to} · {grant.purpose} · {grant.start} – {grant.until} · {_guard(grant)}")
        for dataset, snapshot in view.snapshots:
            terminal.line(f"  {dataset}: {snapshot}", "dim")
        for table in view.catalogue.tables:
            terminal.line(f"  {table.id}  {_unit(table, terminal)}", "bold")
            heads = ("    column", "type", "use", "facts")
            terminal.table(
                heads, ([f"    {c.name}", c.kind.value, _use(c), _facts(c)] for c in table.columns)
            )
        for pair in sorted(sorted(p) for p in view.catalogue.joins):
            terminal.line(f"  {' = '.join(pair)}", "dim")
        terminal.line("")


def _guard(grant: Grant) -> str:
    guard = grant.guard
    if isinstance(guard, DpGuard):
        query, total, delta = (wire.epsilon(v) for v in (guard.query, guard.total, guard.delta))
        return f"dp: ε ≤ {query} a query, {total} in all, δ = {delta}"
    return f"exact: {guard.per_day or '∞'} a day, {guard.total or '∞'} in all"


def _unit(table: Table, terminal: Terminal) -> str:
    if table.unit is None:
        return terminal.say(Words("公开", "public"))
    return terminal.say(Words(f"隐私单元 {table.unit.kind}", f"unit: {table.unit.kind}"))


def _use(column: Column) -> str:
    return " ".join(sorted(u.value for u in column.use))


def _facts(column: Column) -> str:
    found = []
    if column.domain is not None:
        listed = [str(wire.scalar(v)) for v in column.domain[:_LONGEST_LIST]]
        found.append(", ".join(listed) + (" …" if len(column.domain) > _LONGEST_LIST else ""))
    for name, bounds in (("", column.range), ("clip ", column.clip)):
        if bounds != Range():
            ends = (wire.bound(b, column) or "" for b in (bounds.lo, bounds.hi))
            found.append(f"{name}[{' … '.join(ends)}]")
    if column.step is not None:
        found.append(f"step {column.step if isinstance(column.step, str) else wire.epsilon(column.step)}")
    return "; ".join(found)
