"""The audit through everything: a published snapshot, a grant, the gateway with its store, log and workers.

Two homes, whose sources differ in one worst-case unit a group, answer the same question at rising epsilons: an
answer kept at a lower one does not serve a higher one, so that every answer is a draw of its own (asserted).
Groups are independent within an answer (see ``arena``), and each serves as one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sandbox.doors.asking import new_id
from sandbox.gateway import Gateway, open_gateway
from sandbox.home import Home, create_home, open_home
from sandbox.model import Answer, Person, Request
from sandbox.policy.load import load
from sandbox.snapshot.ingest import ingest
from tests.audits.arena import group
from tests.audits.estimate import Claim, Loss, Seen

GROUPS: Final = 800
OTHERS: Final = (5.0, 10.0)
NEWCOMER: Final = 10**9
SQL: Final = "SELECT g, SUM(income) AS s FROM person GROUP BY g"
EPSILONS: Final = tuple(Fraction(4980 + i, 1000) for i in range(4))
DATASET: Final = """\
kind: dataset
id: audit
title: {{zh: 审计数据, en: Audit data}}
owner: 测试数源单位
class: 测试/审计
level: 3
share: conditional
why: {{reason: 含个人信息, basis: 个人信息保护法第二十八条}}
snapshot: once
budget: {{epsilon: 20, delta: 1.0e-5}}
tables:
  person:
    unit: {{person: pid}}
    rows: 1
    columns:
      pid:    {{type: integer, level: 3, use: [count]}}
      g:      {{type: string, level: 1, use: [group], domain: [{domain}]}}
      income: {{type: double, level: 3, use: [measure], clip: [0, 1000], scale: 0.01}}
"""
GRANT: Final = """\
kind: grant
id: G-AUDIT
to: 审计有限公司
scenario: {id: S-1, zh: 隐私审计, en: Privacy audit}
purpose: 审计；不得用于其他目的
period: {from: 2025-01-01, until: 2030-12-31}
data:
  audit.person: [pid, g, income]
guard:
  mode: dp
  epsilon: {query: 5, total: 20}
  delta: 1.0e-6
release: auto
"""


def build(folder: Path, *, present: bool) -> Home:
    """A home with or without the units in question."""
    create_home(folder)
    home = open_home(folder)
    home = replace(home, settings=replace(home.settings, release_clock_ms=0))
    home.policies.mkdir(exist_ok=True)
    domain = ", ".join(f'"{group(b)}"' for b in range(GROUPS))
    (home.policies / "audit.yaml").write_text(DATASET.format(domain=domain), encoding="utf-8")
    (home.policies / "G-AUDIT.yaml").write_text(GRANT, encoding="utf-8")
    incomes = [*OTHERS, *([float(NEWCOMER)] if present else [])]
    rows = [(i * GROUPS + b, group(b), income) for b in range(GROUPS) for i, income in enumerate(incomes)]
    columns = zip(("pid", "g", "income"), map(list, zip(*rows, strict=True)), strict=True)
    source = folder / "person.parquet"
    pq.write_table(pa.table(dict(columns)), source)
    dataset = load([home.policies]).dataset("audit")
    assert dataset is not None
    ingest(dataset, {"person": source}, home.snapshots, now=dt.datetime.now(dt.UTC))
    return home


def ask(gateway: Gateway, epsilon: Fraction) -> Answer:
    grant = gateway.documents().grant("G-AUDIT")
    assert grant is not None
    person = Person("auditor", "operator", grant.to)
    now = dt.datetime.now(dt.UTC)
    answer = gateway.query(Request(new_id(), person, "G-AUDIT", SQL, epsilon, now))
    assert isinstance(answer, Answer), answer
    assert answer.price is not None
    assert not answer.price.free, "a kept answer says nothing new"
    return answer


def seen(home: Home) -> tuple[Seen, float]:
    """All answers, and the largest rho that one of them is charged."""
    gateway = open_gateway(home)
    try:
        answers = [ask(gateway, epsilon) for epsilon in EPSILONS]
    finally:
        gateway.close()
    scores = np.concatenate([_sums(a) for a in answers])
    rho = max(a.price.nano for a in answers if a.price is not None) / 10**9
    return Seen(scores, np.zeros(len(scores), dtype=np.int64)), rho


def _sums(answer: Answer) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    names: Sequence[str] = [c.name for c in answer.columns]
    column = answer.table.column(names.index("s")).to_numpy()
    return np.asarray(column, dtype=np.float64)


def audit(folder: Path) -> tuple[Seen, Seen, Claim]:
    """Answers with the units and without, and what is claimed of one answer."""
    with_unit, rho = seen(build(folder / "with", present=True))
    without, _ = seen(build(folder / "without", present=False))
    return with_unit, without, Claim(Loss.GAUSSIAN, rho)
