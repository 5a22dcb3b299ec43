"""The monitor's rules, with their windows, severities and words.  Parameters stand with each judge."""

from __future__ import annotations

import datetime as dt
from typing import Final

from sandbox.model import Words
from sandbox.monitor import pace, probing, refusals
from sandbox.monitor.rule import Rule, Severity, Subject

_REFUSAL: Final = frozenset({"refusal"})
_ASKED: Final = frozenset({"intent"})
_HOUR: Final = dt.timedelta(hours=1)
_DAY: Final = dt.timedelta(days=1)

RULES: Final = (
    Rule(
        "repeated-refusals",
        refusals.repeated,
        Subject.PERSON,
        _HOUR,
        _REFUSAL,
        Severity.MEDIUM,
        Words(
            "一小时内多次因同类原因被拒绝", "refused again and again for one class of reason within an hour"
        ),
        Words(
            "查看这些查询；若为不熟悉规则则指导，若为试探则冻结其授权",
            "read the queries; help who does not know the rules, freeze the grant of who tests them",
        ),
    ),
    Rule(
        "refusal-storm",
        refusals.storm,
        Subject.PERSON,
        _HOUR,
        _REFUSAL | _ASKED,
        Severity.MEDIUM,
        Words("一小时内多数查询被拒绝", "most of what was asked within an hour was refused"),
        Words(
            "查看这些查询；考虑冻结该人员所在单位的授权",
            "read the queries; consider freezing the organisation's grants",
        ),
    ),
    Rule(
        "reaching-outside",
        refusals.reaching,
        Subject.PERSON,
        _DAY,
        _REFUSAL,
        Severity.HIGH,
        Words(
            "试图触及文件、网络、引擎目录，或提交非查询语句",
            "reached for files, networks or the engine's catalogue, or sent what is no query",
        ),
        Words("立即冻结该人员所在单位并询问", "freeze the organisation at once and ask what this was for"),
    ),
    Rule(
        "differencing",
        probing.differencing,
        Subject.PERSON,
        _DAY,
        _ASKED,
        Severity.MEDIUM,
        Words(
            "围绕同一问题逐条增减或替换条件（差分、追踪器）",
            "walked around one question, one condition more, less or exchanged (differencing, trackers)",
        ),
        Words(
            "比较这些查询所隔离出的人群；答案已受保护，但应询问用途",
            "look at whom the questions isolate; the answers are protected, but ask for the purpose",
        ),
    ),
    Rule(
        "variations",
        probing.variations,
        Subject.PERSON,
        _DAY,
        _ASKED,
        Severity.LOW,
        Words("大量仅常数不同的近似查询", "many questions that are one but for their constants"),
        Words(
            "确认是否为报表脚本；否则建议改为一个分组查询，并询问用途",
            "find out whether a report's script asks; else suggest one grouped question, and ask why",
        ),
    ),
    Rule(
        "repetition",
        probing.repetition,
        Subject.PERSON,
        _HOUR,
        _ASKED,
        Severity.LOW,
        Words("同一查询反复提交", "one question asked over and over"),
        Words(
            "重复所得答案相同，平均无效；检查是否为失控脚本",
            "repeats get the same answer, so averaging gains nothing; look for a script gone wild",
        ),
    ),
    Rule(
        "burn-rate",
        pace.burn,
        Subject.GRANT,
        _DAY,
        _ASKED,
        Severity.MEDIUM,
        Words("一天内用去授权总预算的四分之一", "a quarter of a grant's whole budget was asked for in a day"),
        Words(
            "与使用方确认计划；必要时降低单次上限",
            "agree on a plan with the operator; lower the limit of a query if need be",
        ),
    ),
    Rule(
        "unusual-hours",
        pace.night,
        Subject.PERSON,
        dt.timedelta(hours=8),
        _ASKED | _REFUSAL,
        Severity.LOW,
        Words("深夜（北京时间 23 时至 6 时）多次查询", "several questions at night (23:00 to 06:00, UTC+8)"),
        Words(
            "确认是否为定时任务或账户被盗用；必要时吊销令牌",
            "find out whether it is a timed job or a stolen token; revoke the token if in doubt",
        ),
    ),
)
"""Asked at each new entry; see ``MISSING`` for the one that waits."""

MISSING: Final = Rule(
    "missing-outcome",
    lambda _: (),
    Subject.LOG,
    _DAY,
    _ASKED,
    Severity.HIGH,
    Words("查询有意向记录而无结果记录", "a question's intent is on record and its end is not"),
    Words(
        "检查该时刻网关是否崩溃；其预算按已用计；若无崩溃，请校验日志完整性",
        "see whether the gateway crashed then (its cost counts as spent); if it did not, verify the log",
    ),
)
"""Judged by ``pace.missing`` as time passes, not as entries come."""
