"""What comes back: answers with their intervals, prices before asking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sandbox_client import chart, display
from sandbox_client.words import Lang, Words, words

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its kind, whether it bears noise, its predicted half-width before asking.

    ``margin`` names the column that holds the half-widths of its 95 % intervals, if it bears noise.
    """

    name: str
    kind: str
    noisy: bool
    predicted: str
    margin: str | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """A cost: epsilon as exact text; ``nano`` is 1e-9 of ``measure`` (zCDP rho, or pure epsilon)."""

    epsilon: str
    nano: int
    measure: str
    free: bool


@dataclass(frozen=True, slots=True)
class Explained:
    """What a query would cost and how good it would be; nothing was spent."""

    grant: str
    mode: str
    price: Price | None
    columns: tuple[Column, ...]
    derivation: tuple[str, ...]
    guarantee: tuple[Words, ...]
    lang: Lang

    def __str__(self) -> str:
        return "\n".join(self.derivation)

    def _repr_html_(self) -> str:
        return display.explained(self)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.  ``table`` holds the columns, each noisy one followed by its half-widths of 95 %."""

    table: pa.Table
    columns: tuple[Column, ...]
    request: str
    grant: str
    mode: str
    snapshot: str
    price: Price | None
    guarantee: tuple[Words, ...]
    notes: tuple[Words, ...]
    derivation: tuple[str, ...]
    receipt: int
    lang: Lang
    left: tuple[Mapping[str, Any], ...] = field(default=())

    def __len__(self) -> int:
        rows: int = self.table.num_rows
        return rows

    def arrow(self) -> pa.Table:
        """The Arrow table, margins included."""
        return self.table

    def pandas(self) -> pd.DataFrame:
        """A pandas frame, margins included as ``<name>_margin``."""
        found: pd.DataFrame = self.table.to_pandas(date_as_object=False)
        return found

    def polars(self) -> pl.DataFrame:
        """A polars frame, margins included as ``<name>_margin``."""
        import polars as pl

        found = pl.from_arrow(self.table)
        assert isinstance(found, pl.DataFrame)
        return found

    def intervals(self, name: str) -> list[tuple[float, float] | None]:
        """The 95 % interval of each value of a column; None where there is none.  Raises ``KeyError``."""
        column = next((c for c in self.columns if c.name == name), None)
        if column is None:
            raise KeyError(name)
        if column.margin is None:
            return [None] * len(self)
        pairs = zip(self._of(name), self._of(column.margin), strict=True)
        return [None if v is None or m is None else (float(v) - m, float(v) + m) for v, m in pairs]

    def _of(self, name: str) -> list[Any]:
        values: list[Any] = self.table.column(name).to_pylist()
        return values

    @property
    def chart(self) -> dict[str, Any] | None:
        """A Vega-Lite 5 chart of the first noisy column with error bars, where the rows can be drawn."""
        return chart.of(self)

    def __str__(self) -> str:
        return display.plain(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """Text and an HTML table with ± for any frontend; the chart in JupyterLab's native type."""
        bundle: dict[str, Any] = {"text/plain": str(self), "text/html": display.answered(self)}
        if (drawn := self.chart) is not None:
            bundle[chart.MIME] = drawn
        return bundle

    def _ipython_display_(self) -> None:
        """Table and chart one below the other: a frontend shows one form of each output."""
        from IPython.core.interactiveshell import InteractiveShell

        publish = InteractiveShell.instance().display_pub.publish
        bundle = self._repr_mimebundle_()
        drawn = bundle.pop(chart.MIME, None)
        publish(bundle)
        if drawn is not None:
            publish({chart.MIME: drawn, "text/plain": drawn["description"]})


def answer(stream: bytes, lang: Lang) -> Answer:
    """An answer from the Arrow stream that the gateway sends.  Raises ``pa.ArrowInvalid``, ``KeyError``."""
    table = pa.ipc.open_stream(stream).read_all()
    told = json.loads(table.schema.metadata[b"sandbox"])
    return Answer(
        table=table,
        columns=_columns(told["columns"], table.column_names),
        request=told["request"],
        grant=told["grant"],
        mode=told["mode"],
        snapshot=told["snapshot"],
        price=_price(told["price"]),
        guarantee=tuple(map(words, told["guarantee"])),
        notes=tuple(map(words, told["notes"])),
        derivation=tuple(told["derivation"]),
        receipt=told["receipt"],
        lang=lang,
    )


def explained(told: Mapping[str, Any], lang: Lang) -> Explained:
    """A price from the JSON that the gateway sends."""
    return Explained(
        grant=told["grant"],
        mode=told["mode"],
        price=_price(told["price"]),
        columns=_columns(told["columns"], None),
        derivation=tuple(told["derivation"]),
        guarantee=tuple(map(words, told["guarantee"])),
        lang=lang,
    )


def _columns(told: list[Mapping[str, Any]], names: list[str] | None) -> tuple[Column, ...]:
    """The columns; in a stream a noisy one is followed by its margins."""
    found, place = [], 0
    for column in told:
        noisy = column["noisy"]
        margin = names[place + 1] if noisy and names is not None else None
        found.append(Column(column["name"], column["kind"], noisy, column["predicted"], margin))
        place += 2 if noisy else 1
    return tuple(found)


def _price(told: Mapping[str, Any] | None) -> Price | None:
    return None if told is None else Price(told["epsilon"], told["nano"], told["measure"], told["free"])
