"""The vocabulary of product documents: an approved query with parameters, for whom, when, at what fee."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from typing import Final

from sandbox.model import Words
from sandbox.policy.dataset_fields import A_NAME, TITLE
from sandbox.policy.documents import FeePer, Form, Parameter
from sandbox.policy.fields import Entry, Field, MapOf, Record
from sandbox.policy.grant_fields import AN_ID
from sandbox.policy.parts import Choice, Const, ListOf, Number, Text


class Schedule(StrEnum):
    """How often a product is renewed."""

    ON_DEMAND = "on-demand"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


SQL: Final = Field(
    "sql",
    Text(
        "",
        Words("一条 SELECT，参数写作 :名称", "one SELECT; parameters as :name"),
        lines=True,
        longest=20_000,
    ),
    Words("查询", "the query"),
    required=True,
)
PARAMETERS: Final[Field[Mapping[str, Entry[Parameter]]]] = Field(
    "parameters",
    MapOf("[a-z][a-z0-9_]{0,30}", A_NAME, Choice(Parameter)),
    Words("参数及其类型", "its parameters and their types"),
)
EPSILON: Final = Field(
    "epsilon",
    Number(above=Fraction(0), most=Fraction(20)),
    Words("每次计算所用 epsilon", "epsilon of one computation"),
)
QUERY_RECORD: Final = Record((SQL, PARAMETERS, EPSILON))

BASIS: Final = Field(
    "basis",
    Text("free|cost-plus|market", Words("free、cost-plus 或 market", "free, cost-plus or market")),
    Words("定价依据", "what the price rests on"),
    required=True,
)
PRICE: Final = Field(
    "price",
    Number(least=Fraction(0), most=Fraction(10**12)),
    Words("价格（至多四位小数）", "the price, of at most four decimals"),
    required=True,
)
PER: Final = Field("per", Choice(FeePer), Words("计费单位", "what it is the price of"), required=True)
CURRENCY: Final = Field(
    "unit",
    Text("[A-Z]{3}", Words("货币，如 CNY", "a currency, as in CNY")),
    Words("货币", "the currency"),
    required=True,
)
FEE_RECORD: Final = Record((BASIS, PRICE, PER, CURRENCY))

KIND: Final = Field("kind", Const("product"), Words("文件种类", "kind of document"), required=True)
ID: Final = Field("id", AN_ID, Words("产品编号", "the product's id"), required=True)
GRANT: Final = Field("grant", AN_ID, Words("所依据的授权", "the grant it is made under"), required=True)
PRODUCT_TITLE: Final = Field("title", TITLE, Words("名称", "its title in both languages"), required=True)
FORM: Final = Field("form", Choice(Form), Words("形式", "its form"), required=True)
QUERY: Final = Field("query", QUERY_RECORD, Words("查询与参数", "query and parameters"), required=True)
SCHEDULE: Final = Field(
    "schedule", Choice(Schedule), Words("更新频率", "how often it is renewed"), required=True
)
TO: Final = Field("to", ListOf(Text(), least=1), Words("接收单位", "the recipients"), required=True)
FEE: Final = Field("fee", FEE_RECORD, Words("费用", "the fee"), required=True)
PRODUCT: Final = Record((KIND, ID, GRANT, PRODUCT_TITLE, FORM, QUERY, SCHEDULE, TO, FEE))
