"""An encrypted snapshot holds what a plain one holds, in the same types; its keys are apart."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from sandbox.errors import Code, Refusal
from sandbox.snapshot import MasterKey, current, ingest, parquet, price
from sandbox.snapshot.publish import home_of
from sandbox.snapshot.quarantined import quarantined
from sandbox.snapshot.sealing import Sealing
from tests.unit.snapshot.test_ingest import GOOD, NOW, Bench, dataset_of

KEY = MasterKey(bytes(range(32)))
TEXTS = {**GOOD, "item": GOOD["item"] + "c1\n", "person": GOOD["person"] + "p4,上海,1,x\n"}


def both(folder: Path) -> tuple[Path, Path]:
    """A plain and an encrypted root of the same sources."""
    bench = Bench(folder)
    for name, key in (("plain", None), ("sealed", KEY)):
        ingest(dataset_of(), bench.sources(TEXTS), folder / name, now=NOW, key=key)
    return folder / "plain", folder / "sealed"


def held(root: Path, files: tuple[Path, ...], key: bytes | None) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        rows = parquet.stored(connection, files, key)
        shape = connection.execute(f"DESCRIBE FROM {rows}").fetchall()
        names = ", ".join(f'"{n}"' for n, *_ in shape if not str(n).startswith("_u"))
        return shape + connection.execute(f"SELECT {names} FROM {rows} ORDER BY ALL").fetchall()


@pytest.mark.parametrize("table", ["person", "claim", "item", "hospital"])
def test_the_same_rows_in_the_same_types(tmp_path: Path, table: str) -> None:
    plain, sealed = both(tmp_path)
    snapshot = current(sealed, "med")
    snapshot.verify()
    files = current(plain, "med").files(table)
    # Numbers of units follow from a secret of each root, so identifiers are left to their types.
    there = held(plain, files, None)
    here = held(sealed, snapshot.files(table), snapshot.sealing(KEY).table(table))
    assert [r for r in there if len(r) == 6] == [r for r in here if len(r) == 6]
    assert len(there) == len(here)
    if table == "hospital":
        assert there == here


def test_quarantine_is_kept_under_its_own_key(tmp_path: Path) -> None:
    _, sealed = both(tmp_path)
    snapshot = current(sealed, "med")
    folder = home_of(sealed, "med").quarantine / snapshot.id
    assert {f.name for f in folder.iterdir()} == {"person.parquet", "item.malformed.parquet"}
    with duckdb.connect() as connection:
        key = snapshot.sealing(KEY).quarantine("item")
        rows = parquet.stored(connection, [folder / "item.malformed.parquet"], key)
        assert connection.execute(f"FROM {rows}").fetchall() == [("c1",)]
    for wrong in (None, snapshot.sealing(KEY).table("item")):
        with duckdb.connect() as connection, pytest.raises(Refusal) as refused:
            parquet.stored(connection, [folder / "item.malformed.parquet"], wrong)
        assert refused.value.code is Code.SNAPSHOT_SEALED


def test_the_owner_reads_quarantine_encrypted_or_not(tmp_path: Path) -> None:
    plain, sealed = both(tmp_path)
    for root, key in ((plain, None), (sealed, KEY)):
        snapshot = current(root, "med")
        assert quarantined(root, snapshot, "item", key) == "line\nc1\n"
        assert quarantined(root, snapshot, "claim", key) == ""
        head, row = quarantined(root, snapshot, "person", key).splitlines()
        assert head.startswith("_row,_reasons,") and row.startswith("3,domain city,p4,上海")
    with pytest.raises(Refusal) as refused:
        quarantined(sealed, current(sealed, "med"), "item", None)
    assert refused.value.code is Code.SNAPSHOT_SEALED


def test_grids_are_priced_with_the_key_alone(tmp_path: Path) -> None:
    _, sealed = both(tmp_path)
    snapshot = current(sealed, "med")
    assert price(snapshot, dataset_of(), "person", [], KEY) == ()
    for wrong in (None, MasterKey(bytes(32))):
        with pytest.raises(Refusal) as refused:
            price(snapshot, dataset_of(), "person", [], wrong)
        assert refused.value.code is Code.SNAPSHOT_SEALED


def test_every_place_has_a_key_of_its_own() -> None:
    one, other = Sealing("d", "1", KEY), Sealing("d", "2", KEY)
    keys = [s.table("t") for s in (one, other, Sealing("e", "1", KEY))]
    keys += [one.cube("t"), one.quarantine("t"), one.units("t"), one.table("u")]
    assert len(set(keys)) == 7 and all(key is not None and len(key) == 32 for key in keys)
    assert one.units("t") == other.units("t")
    assert Sealing("d").table("t") is None and Sealing("d").seal is None


def test_columns_of_many_pages_are_read_back(tmp_path: Path) -> None:
    """More than a page of any column: numbers and texts that are all different, few, sorted, or missing."""
    query = (
        "SELECT i, hash(i) % 1000003 AS n, sha256(CAST(i AS VARCHAR)) AS s, i // 8 AS u, "
        "CASE WHEN i % 7 > 0 THEN 'a' || i % 5 END AS c FROM range(300000) AS t(i)"
    )
    with duckdb.connect() as connection:
        parquet.store(connection, query, tmp_path / "rows.parquet", bytes(32))
        rows = parquet.stored(connection, [tmp_path / "rows.parquet"], bytes(32))
        shown = (
            "SELECT bit_xor(hash(r)), count(*), sum(i), max(s), count(c), count(DISTINCT u) FROM ({}) AS r"
        )
        assert (
            connection.execute(shown.format(f"FROM {rows}")).fetchall()
            == connection.execute(shown.format(query)).fetchall()
        )
