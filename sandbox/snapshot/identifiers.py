"""What Chinese identifiers look like, value by value and column by column.

A finding is a proposal with a confidence, for a person to confirm; it decides nothing, and no finding is no
clearance.  Checksums: GB 11643-1999 (resident identity number, ISO 7064 MOD 11-2), GB 32100-2015 (unified
social credit code, MOD 31), ISO/IEC 7812 (Luhn); plates after GA 36-2018.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from sandbox.model import Words

ENOUGH: Final = 0.8
"""Least share of a column's values, each counted once, that must look so."""
FEWEST: Final = 8
"""Fewest different values from which anything is concluded."""

_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_USCC: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_PROVINCES: Final = frozenset(
    str(first * 10 + second)
    for first, seconds in {1: 5, 2: 3, 3: 7, 4: 6, 5: 4, 6: 5, 7: 1, 8: 3}.items()
    for second in range(1 if first != 5 else 0, seconds + 1)
)
_HAN: Final = "\u4e00-\u9fff"
_PLATE: Final = re.compile(
    "[京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新][A-HJ-NP-Z][·\\- ]?"
    "(?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳]|[DFABCEGHJK][A-HJ-NP-Z0-9][0-9]{4}|[0-9]{5}[DFABCEGHJK])"
)
_ADDRESS: Final = re.compile(
    f"(?=.*[{_HAN}]{{1,8}}(?:省|市|区|县|旗|镇|乡))(?=.*(?:路|街|巷|道|胡同|村|弄|小区|社区|大厦|花园))(?=.*[0-9一二三四五六七八九十]+(?:号|栋|幢|室|单元|组|层)).{{6,}}"
)
_SURNAMES: Final = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石"
    "廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_COMPOUND: Final = frozenset(
    ("欧阳", "上官", "司马", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "司徒", "夏侯", "令狐")
)
_PLACE_ENDS: Final = frozenset("省市区县镇乡村路街州店厂院所局处部校场站")
"""Characters on which names of places and bodies end more often than given names do."""


def resident_id(value: str) -> bool:
    """A resident identity number: province, a day that was, and the check character."""
    text = value.strip().upper()
    if not re.fullmatch("[1-9][0-9]{16}[0-9X]", text) or text[:2] not in _PROVINCES:
        return False
    try:
        born = dt.date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(w * int(d) for w, d in zip(_WEIGHTS, text, strict=False))
    return born.year >= 1850 and text[17] == "10X98765432"[total % 11]


def credit_code(value: str) -> bool:
    """A unified social credit code: its alphabet, its register and its check character."""
    text = value.strip().upper()
    if not re.fullmatch(f"[1-9A-HJ-NP-RT-UW-Y][0-9A-HJ-NP-RT-UW-Y][0-9]{{6}}[{_USCC}]{{10}}", text):
        return False
    total = sum(_USCC.index(c) * pow(3, i, 31) for i, c in enumerate(text[:17]))
    return text[17] == _USCC[-total % 31]


def mobile(value: str) -> bool:
    """A mobile number of the mainland."""
    return re.fullmatch(r"(?:\+?86[- ]?)?1[3-9][0-9]{9}", value.strip()) is not None


def bank_card(value: str) -> bool:
    """A card number: 16 to 19 digits, a payment network's first digit, and Luhn's check digit."""
    text = re.sub("[ -]", "", value.strip())
    if not re.fullmatch("[3-6][0-9]{15,18}", text):
        return False
    digits = [int(d) for d in reversed(text)]
    return sum(d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits)) % 10 == 0


def plate(value: str) -> bool:
    """A licence plate, of new-energy vehicles too."""
    return _PLATE.fullmatch(value.strip().upper()) is not None


def address(value: str) -> bool:
    """A postal address down to a number: an area, a street or village, and a number in it."""
    return _ADDRESS.fullmatch(value.strip()) is not None


def person_name(value: str) -> bool:
    """A Chinese name: a frequent surname, one or two characters, and no ending of a place."""
    text = value.strip()
    if not re.fullmatch(f"[{_HAN}]{{2,4}}", text) or text[-1] in _PLACE_ENDS:
        return False
    given = len(text) - (2 if text[:2] in _COMPOUND else 1)
    return (text[:2] in _COMPOUND or text[0] in _SURNAMES) and 1 <= given <= 2


@dataclass(frozen=True, slots=True)
class Detector:
    """A kind of identifier, its name in both languages, and the level (1 to 4) that is proposed for it.

    ``unit``: the kind of privacy unit that it identifies, or "".
    """

    name: str
    words: Words
    level: int
    looks: Callable[[str], bool]
    unit: str = ""


DETECTORS: Final = (
    Detector("resident_id", Words("居民身份证号", "resident identity number"), 4, resident_id, "person"),
    Detector(
        "credit_code", Words("统一社会信用代码", "unified social credit code"), 3, credit_code, "enterprise"
    ),
    Detector("bank_card", Words("银行卡号", "bank card number"), 4, bank_card),
    Detector("mobile", Words("手机号", "mobile number"), 4, mobile),
    Detector("plate", Words("车牌号", "licence plate"), 4, plate),
    Detector("address", Words("地址", "address"), 4, address),
    Detector("name", Words("姓名", "personal name"), 4, person_name),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a column seems to hold, and the share of its values that look so."""

    detector: Detector
    confidence: float


def classify(values: Iterable[str]) -> Finding | None:
    """What a column's values seem to be, each counted once; ``None`` if nothing stands out."""
    distinct = {v for v in values if v.strip()}
    if len(distinct) < FEWEST:
        return None
    shares = [(sum(map(d.looks, distinct)) / len(distinct), d) for d in DETECTORS]
    share, best = max(shares, key=lambda found: found[0])
    return Finding(best, share) if share >= ENOUGH else None
