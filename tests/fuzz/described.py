"""Requests made from the application's own OpenAPI document: as it says, and just not as it says.

Schemathesis makes them; now and then a name that exists is put in, since what nobody has ever heard of is
refused at the first check.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import requests as http
import schemathesis
from hypothesis import strategies as st

from tests.corpus.house import DP, EXACT
from tests.fuzz.target import JSON, ROLES, Sent

Schema = dict[str, Any]

KNOWN: Final[dict[str, Sequence[str]]] = {
    "grant": (DP, *EXACT),
    "account": (f"{DP}/person",),
    "sql": (
        "SELECT COUNT(*) AS n FROM people",
        "SELECT county, AVG(salary) AS a FROM people GROUP BY county",
    ),
    "dataset": ("corpus",),
    "format": ("json", "csv", "arrow"),
    "kind": ("release", "grant", "product"),
    "epsilon": ("0.001", "1e-400", "NaN"),
    "within": ("5%", "0%", "1e9"),
    "month": ("2026-11", "2026-13"),
}
"""Names and values that mean something to the house, by the field that takes them."""


def requests(document: Schema) -> st.SearchStrategy[Sent]:
    """Requests to every address of the document, by anybody and by nobody."""
    schema = schemathesis.openapi.from_dict(document)
    modes = [schema.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]
    known = st.fixed_dictionaries({}, optional={name: st.sampled_from(v) for name, v in KNOWN.items()})
    roles = st.sampled_from([*ROLES, "operator", "operator", ""])
    return st.builds(_sent, st.one_of(modes), known, roles)


def _sent(case: schemathesis.Case[Any], known: dict[str, str], role: str) -> Sent:
    for fields in (case.body, case.query, case.path_parameters):
        if isinstance(fields, dict):
            fields |= {name: value for name, value in known.items() if name in fields}
    told = case.as_transport_kwargs(base_url="http://sandbox")
    made = http.Request(**{name: told[name] for name in _PARTS if told.get(name) is not None}).prepare()
    content: Any = made.body or b""
    body: bytes = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    headers = {"content-type": str(made.headers.get("content-type", JSON))} if body else {}
    path = quote(made.path_url, safe="%/?&=+:@,;~!*'()$")
    return Sent(made.method or "GET", path, body, headers, role)


_PARTS: Final = ("method", "url", "headers", "params", "data", "json")
