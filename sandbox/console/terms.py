"""The fixed words of the product as people read them: roles, kinds of entries, uses, attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sandbox.console.locale import Locale
from sandbox.model import Words
from sandbox.policy.roles import ROLES

_WORDS: Final[dict[str, Words]] = {
    # roles
    "operator": Words("运营单位", "Operator"),
    **{f"role-{role}": words for role, words in ROLES.items()},
    # kinds of entries
    "intent": Words("受理", "Accepted"),
    "outcome": Words("放出", "Answered"),
    "refusal": Words("拒绝", "Refused"),
    "explain": Words("试算", "Priced"),
    "login": Words("登录", "Sign-in"),
    "account": Words("账户", "Account"),
    "policy": Words("政策变更", "Policy"),
    "ingest": Words("入库", "Ingested"),
    "freeze": Words("冻结", "Freeze"),
    "lift": Words("解冻", "Lift"),
    "approval": Words("批准", "Approval"),
    "export": Words("导出", "Export"),
    "read": Words("查阅", "Read"),
    "purge": Words("清除", "Purge"),
    "start": Words("启动", "Start"),
    "alert": Words("告警", "Alert"),
    "cancel": Words("取消", "Cancelled"),
    "key": Words("密钥", "Key"),
    "case": Words("事项", "Case"),
    "delivery": Words("交付", "Delivery"),
    "recover": Words("账本恢复", "Recovery"),
    "notebook": Words("笔记本", "Notebook"),
    # decisions
    "answered": Words("已放出", "answered"),
    "refused": Words("已拒绝", "refused"),
    "explained": Words("已试算", "priced"),
    "granted": Words("准入", "granted"),
    "denied": Words("拒入", "denied"),
    "done": Words("完成", "done"),
    "approved": Words("已批准", "approved"),
    "alarm": Words("警报", "alarm"),
    # uses
    "group": Words("分组", "group"),
    "filter": Words("筛选", "filter"),
    "join": Words("连接", "join"),
    "measure": Words("度量", "measure"),
    "count": Words("计数", "count"),
    # sharing
    "unconditional": Words("无条件共享", "unconditional"),
    "conditional": Words("有条件共享", "conditional"),
    "none": Words("不予共享", "not shared"),
    # modes
    "dp": Words("差分隐私", "Differential privacy"),
    "exact": Words("精确网格", "Exact grid"),
    "auto": Words("自动放行", "automatic"),
    "review": Words("人工审核", "review"),
    "two-person": Words("双人审核", "two people"),
    # scopes of freezes
    "everything": Words("全部", "Everything"),
    "dataset": Words("数据集", "Dataset"),
    "grant": Words("授权", "Grant"),
    # severities
    "low": Words("低", "low"),
    "medium": Words("中", "medium"),
    "high": Words("高", "high"),
    # steps
    "hour": Words("小时", "hour"),
    "day": Words("日", "day"),
    "week": Words("周", "week"),
    "month": Words("月", "month"),
    "quarter": Words("季", "quarter"),
    "year": Words("年", "year"),
    # types
    "boolean": Words("布尔", "boolean"),
    "integer": Words("整数", "integer"),
    "decimal": Words("定点数", "decimal"),
    "double": Words("浮点数", "double"),
    "string": Words("文本", "text"),
    "date": Words("日期", "date"),
    "timestamp": Words("时间", "timestamp"),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """Fixed words in one language; a word without an entry stands for itself."""

    locale: Locale

    def __call__(self, word: str) -> str:
        """The word as people read it."""
        found = _WORDS.get(word)
        return word if found is None else self.locale.say(found)
