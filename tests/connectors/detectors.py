"""Precision and recall of the detectors on a generated corpus with traps: `python -m tests.connectors.detectors`.

Values: valid identifiers against near misses (a check character that is off by one, a day that never was, a
number of the right length).  Columns: 200 values each, one in twenty of them dirty, against columns of traps.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from sandbox.snapshot import identifiers as ids

SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石"
    "晏仇茅庞柴瞿"
)
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建国玉兰志文红梅俊峰海燕晨宇轩子涵浩然欣怡梓博雅琪江山阳川"
CITIES = [
    "太原市",
    "大同市",
    "阳泉市",
    "长治市",
    "晋城市",
    "高平",
    "朔州",
    "晋中",
    "运城",
    "忻州",
    "临汾",
    "吕梁",
    "石家庄",
    "马鞍山",
    "金华",
    "唐山",
    "江门",
    "潘集",
    "汤阴",
    "沈阳",
    "杭州",
    "温州",
]
GOODS = [
    "马铃薯",
    "金银花",
    "黄瓜",
    "白菜",
    "石膏",
    "龙井茶",
    "毛巾",
    "高粱",
    "江米酒",
    "钱包",
    "汤圆",
    "万能胶",
    "夏凉被",
    "方便面",
    "田七",
    "白酒",
    "雷达表",
    "史料",
    "顾问费",
    "严选茶",
]
AREAS = ["山西省太原市小店区", "北京市海淀区", "河北省石家庄市长安区", "大同市平城区", "晋中市榆次区"]
STREETS = ["学府街", "建设北路", "解放路", "平阳南路", "和平巷", "东风村"]


def resident(r: random.Random) -> str:
    day = f"{r.randint(1940, 2015)}{r.randint(1, 12):02d}{r.randint(1, 28):02d}"
    body = f"{r.choice(['14', '11', '13', '31', '61'])}{r.randint(0, 9999):04d}{day}{r.randint(0, 999):03d}"
    return body + _resident_check(body)


def _resident_check(body: str) -> str:
    weights = [pow(2, 17 - i, 11) for i in range(17)]
    return "10X98765432"[sum(w * int(d) for w, d in zip(weights, body, strict=True)) % 11]


ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def credit(r: random.Random) -> str:
    body = r.choice(["91", "92", "93", "12", "51"]) + "140" + f"{r.randint(0, 999):03d}"
    body += "".join(r.choice(ALPHABET) for _ in range(9))
    total = sum(ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(body))
    return body + ALPHABET[(31 - total % 31) % 31]


def card(r: random.Random) -> str:
    body = r.choice(["6222", "6217", "6228", "4367", "5187"]) + "".join(
        r.choice("0123456789") for _ in range(r.choice([11, 14]))
    )
    doubled = (int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(body)))
    return body + str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


def phone(r: random.Random) -> str:
    return r.choice(["", "", "", "+86"]) + f"1{r.choice('3456789')}{r.randint(0, 10**9 - 1):09d}"


def number_plate(r: random.Random) -> str:
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
    head = r.choice("晋京津冀沪粤陕豫") + r.choice("ABCDEFGHJK")
    if r.random() < 0.2:
        return head + r.choice("DF") + r.choice(letters) + f"{r.randint(0, 9999):04d}"
    return head + "".join(r.choice(letters) for _ in range(5))


def place(r: random.Random) -> str:
    return (
        f"{r.choice(AREAS)}{r.choice(STREETS)}{r.randint(1, 300)}号{r.choice(['', '3栋2单元501室', '7层'])}"
    )


def person(r: random.Random) -> str:
    return r.choice(SURNAMES) + "".join(r.choice(GIVEN) for _ in range(r.choice([1, 2, 2, 2])))


def off_by_one(make: Callable[[random.Random], str], alphabet: str) -> Callable[[random.Random], str]:
    """The same with another check character."""

    def made(r: random.Random) -> str:
        good = make(r)
        return good[:-1] + r.choice([c for c in alphabet if c != good[-1]])

    return made


def never_a_day(r: random.Random) -> str:
    body = f"140105{r.randint(1950, 2000)}0230{r.randint(0, 999):03d}"
    return body + _resident_check(body)


POSITIVE: dict[str, Callable[[random.Random], str]] = {
    "resident_id": resident,
    "credit_code": credit,
    "bank_card": card,
    "mobile": phone,
    "plate": number_plate,
    "address": place,
    "name": person,
}
TRAPS: dict[str, Callable[[random.Random], str]] = {
    "resident number, wrong check": off_by_one(resident, "0123456789X"),
    "resident number, 30 February": never_a_day,
    "credit code, wrong check": off_by_one(credit, ALPHABET),
    "card number, wrong check": off_by_one(card, "0123456789"),
    "18 digits": lambda r: "".join(r.choice("0123456789") for _ in range(18)),
    "16 digits": lambda r: f"{r.randint(10**15, 10**16 - 1)}",
    "11 digits, not a mobile": lambda r: f"1{r.choice('012')}{r.randint(0, 10**9 - 1):09d}",
    "order number with a day": lambda r: (
        f"20{r.randint(20, 25)}{r.randint(1, 12):02d}{r.randint(1, 28):02d}{r.randint(0, 10**8 - 1):08d}"
    ),
    "timestamp in milliseconds": lambda r: f"{r.randint(1_600_000_000_000, 1_750_000_000_000)}",
    "fixed-line number": lambda r: f"0351-{r.randint(2_000_000, 8_999_999)}",
    "flight": lambda r: f"{r.choice(['MU', 'CA', 'CZ'])}{r.randint(1000, 9999)}",
    "city": lambda r: r.choice(CITIES),
    "goods": lambda r: r.choice(GOODS),
    "area without a street": lambda r: r.choice(AREAS),
    "sentence about a road": lambda r: f"关于{r.choice(STREETS)}改造的通知（{r.randint(1, 99)}）",
    "amount": lambda r: f"{r.uniform(0, 99999):.2f}",
}


def report(seed: int = 20250701, size: int = 2_000, columns: int = 20) -> dict[str, object]:
    """Per detector: precision and recall of values, and of columns."""
    r = random.Random(seed)
    values = {name: [make(r) for _ in range(size)] for name, make in POSITIVE.items()}
    traps = [make(r) for make in TRAPS.values() for _ in range(size)]
    found: dict[str, object] = {}
    guessed: list[tuple[str, str]] = []
    for name, make in (*POSITIVE.items(), *TRAPS.items()):
        for _ in range(columns):
            dirty = [make(r) if r.random() > 0.05 else r.choice(["无", "不详", "-", "0"]) for _ in range(200)]
            finding = ids.classify(dirty)
            guessed.append((name, finding.detector.name if finding else ""))
    for detector in ids.DETECTORS:
        others = [v for name, those in values.items() if name != detector.name for v in those] + traps
        hits = sum(map(detector.looks, values[detector.name]))
        wrong = sum(map(detector.looks, others))
        right = sum(guess == detector.name == truth for truth, guess in guessed)
        called = sum(guess == detector.name for _, guess in guessed)
        found[detector.name] = {
            "precision": round(hits / (hits + wrong), 4),
            "recall": round(hits / size, 4),
            "column_precision": round(right / called, 4) if called else 0.0,
            "column_recall": round(right / columns, 4),
        }
    return found


def table(found: dict[str, object]) -> str:
    """The report as docs/connectors.md keeps it."""
    lines = [
        "| identifier | values: precision | recall | columns: precision | recall |",
        "|---|---|---|---|---|",
    ]
    for name, figures in found.items():
        assert isinstance(figures, dict)
        lines.append(f"| {name} | " + " | ".join(f"{v:.3f}" for v in figures.values()) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    done = report()
    print(table(done))
    print(json.dumps(done))
