"""The table of refusal codes as documentation: ``python -m sandbox.doors.reference > docs/errors.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from sandbox.errors import Code

GROUPS: Final = {
    1: "The text 文本",
    2: "Names and types 名称与类型",
    3: "Policy 政策",
    4: "Privacy 隐私",
    5: "Budget 预算",
    6: "Documents and data 文件与数据",
    7: "Engine 引擎",
    8: "Doors 接口",
    9: "Ours 系统",
}

_HEAD: Final = """\
# Refusal codes 拒绝代码

Every refusal carries one code for each of its reasons, the same at every door. A code is never reused or
renumbered. HTTP sends the status of the first reason, the command line exits with its exit code; `…` stands
for what the reason names. Made by `python -m sandbox.doors.reference > docs/errors.md`; a test compares.
"""


def lines() -> Iterator[str]:
    """The page, line by line."""
    yield _HEAD
    for group, codes in groupby(sorted(Code, key=lambda c: c.value.number), lambda c: c.value.number // 100):
        yield f"## {group}xx {GROUPS[group]}"
        yield ""
        yield "| code | name | HTTP | exit | what 问题 | what now 怎么办 |"
        yield "|---|---|---|---|---|---|"
        yield from (_row(code) for code in codes)
        yield ""


def _row(code: Code) -> str:
    meaning = code.value
    what = f"{meaning.what_en}<br>{meaning.what_zh}".replace("{subject}", "…")
    now = "depends on the case 视情况而定"
    if meaning.now_en != "{hint}":
        now = f"{meaning.now_en}<br>{meaning.now_zh}"
    return f"| `{code.id}` | `{code.name}` | {code.status} | {code.exit} | {what} | {now} |"


def errors() -> str:
    """The whole of docs/errors.md."""
    return "\n".join(lines()).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(errors())
