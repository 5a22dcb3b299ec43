"""What a new application begins with: a document that holds as it stands, to be written over line by line."""

from __future__ import annotations

import datetime as dt

from sandbox.model import Person
from sandbox.policy.documents import Documents, Grant
from sandbox.policy.visible import visible
from sandbox.policy.workflow.states import Kind

_GRANT = """kind: grant
id: G-{year}-NEW                   # 授权编号 an id that no other grant has
to: {organisation}
scenario: {{id: S-NEW, zh: 应用场景, en: What it is for}}
purpose: 用途与限制
period: {{from: {today}, until: {end}}}
data:
  {table}: [{columns}]    # 只列所需的列 the columns that it takes, no others
guard: {{mode: dp, epsilon: {{query: 1, total: 4}}, delta: 1.0e-6}}
release: auto
"""

_PRODUCT = """kind: product
id: P-NEW                          # 产品编号 an id that no other product has
grant: {grant}
title: {{zh: 产品名称, en: What it is called}}
form: table                        # table | chart
query:
  # 参数写作 :名称，并在 parameters 中给出类型 Write a parameter as :name, and give its type below
  sql: SELECT COUNT(*) AS n FROM {table}
  # parameters: {{since: date}}      # date | integer | decimal | string
schedule: monthly
to: [接收单位 recipients]
fee: {{basis: cost-plus, price: 100, per: delivery, unit: CNY}}    # per: delivery | month
"""


def skeleton(kind: Kind, person: Person, documents: Documents, today: dt.date) -> str:
    """The text for a new case of this kind; "" where there is nothing to begin with."""
    if kind is Kind.GRANT and documents.datasets:
        first = documents.datasets[0]
        table, columns = (
            f"{first.id}.{first.tables[0].name}",
            ", ".join(c.name for c in first.tables[0].columns if c.use),
        )
        end = f"{today.year + 1}-12-31"
        told = {"year": today.year, "organisation": person.organisation, "today": today, "end": end}
        return _GRANT.format(**told, table=table, columns=columns)
    mine = [g for g in visible(documents, person).grants if g.until >= today]
    if kind is Kind.PRODUCT and mine:
        return _PRODUCT.format(grant=mine[0].id, table=_table(mine[0]))
    return ""


def _table(grant: Grant) -> str:
    """The first table of a grant, as its queries name it."""
    return grant.data[0][0].partition(".")[2]
