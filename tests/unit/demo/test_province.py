"""The invented province: same content for any chunk, realistic skew, bad rows as counted."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from sandbox.demo import med, province
from sandbox.errors import Code, Refusal

Files = dict[str, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return province.write(tmp_path_factory.mktemp("province"), residents=2000)


def _one(files: Files, sql: str) -> tuple[object, ...]:
    with duckdb.connect() as connection:
        for table, path in files.items():
            connection.register(table.replace(".", "_"), pq.read_table(path))
        rows: list[tuple[object, ...]] = connection.sql(sql).fetchall()
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize("chunk", [1, 137, 1999, 2001])
def test_the_chunk_size_changes_nothing(files: Files, tmp_path: Path, chunk: int) -> None:
    if chunk == 1:
        files = province.write(tmp_path / "small", residents=1000)
    again = province.write(tmp_path / "again", residents=1000 if chunk == 1 else 2000, chunk=chunk)
    assert again.keys() == files.keys()
    for table, path in files.items():
        assert pq.read_table(again[table]).equals(pq.read_table(path)), table


def test_another_seed_gives_another_province(files: Files, tmp_path: Path) -> None:
    other = province.write(tmp_path, residents=2000, seed=8)
    assert not pq.read_table(other["med.person"]).equals(pq.read_table(files["med.person"]))
    assert pq.read_table(other["med.hospital"]).equals(pq.read_table(files["med.hospital"]))


def test_residents_and_enterprises_are_as_many_as_asked(files: Files) -> None:
    assert pq.read_metadata(files["med.person"]).num_rows == 2000 + province.PLANTED["med.person"]
    assert pq.read_metadata(files["power.enterprise"]).num_rows == 200 + province.PLANTED["power.enterprise"]


def test_items_add_up_to_their_claim(files: Files) -> None:
    sql = """
        SELECT COUNT(*) > 3000, COUNT(*) FILTER (WHERE a IS DISTINCT FROM total_fee)
        FROM med_claim
        LEFT JOIN (SELECT claim_id, SUM(amount) AS a FROM med_claim_item GROUP BY ALL) USING (claim_id)
        WHERE claim_id NOT LIKE 'C999%'"""
    assert _one(files, sql) == (True, 0)


def test_claims_and_fees_are_skewed(files: Files) -> None:
    top = """
        SELECT SUM(n) FILTER (WHERE place <= 20) / SUM(n)
        FROM (SELECT COUNT(*) AS n, ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC) AS place
              FROM med_claim WHERE person_id IS NOT NULL GROUP BY person_id)"""
    share = _one(files, top)[0]
    assert isinstance(share, float) and share > 0.15
    assert _one(
        files, "SELECT AVG(total_fee) > 2 * MEDIAN(total_fee) FROM med_claim WHERE total_fee < 1e6"
    ) == (True,)


def test_a_giant_dominates_its_cell(files: Files) -> None:
    sql = """
        SELECT MAX(kwh) / SUM(kwh) > 0.5
        FROM (SELECT uscc, SUM(kwh) AS kwh FROM power_usage
              WHERE city = '太原' AND industry2 = '31' AND uscc IS NOT NULL GROUP BY uscc)"""
    assert _one(files, sql) == (True,)


def test_readings_follow_the_registry(files: Files) -> None:
    sql = """
        SELECT COUNT(*) FROM power_usage u
        LEFT JOIN (SELECT DISTINCT uscc, city, industry2 FROM power_enterprise) e USING (uscc)
        WHERE u.uscc IS NOT NULL AND (e.city, e.industry2) IS DISTINCT FROM (u.city, u.industry2)"""
    assert _one(files, sql) == (0,)


BAD_ROWS = {
    "med.person": "SELECT (SELECT COUNT(*) - COUNT(DISTINCT person_id) - 1 FROM med_person), "
    "COUNT(*) FILTER (WHERE city = '石家庄'), COUNT(*) FILTER (WHERE person_id IS NULL) FROM med_person",
    "med.claim": "SELECT COUNT(*) FILTER (WHERE total_fee NOT BETWEEN 0 AND 1000000), "
    "COUNT(*) FILTER (WHERE settle_date > '2025-12-31'), "
    "COUNT(*) FILTER (WHERE person_id IS NULL) FROM med_claim",
    "med.claim_item": "SELECT COUNT(*) FILTER (WHERE claim_id NOT IN (SELECT claim_id FROM med_claim)), "
    "COUNT(*) FILTER (WHERE claim_id IS NULL) FROM med_claim_item",
    "power.enterprise": "SELECT (SELECT COUNT(*) - COUNT(DISTINCT uscc) - 1 FROM power_enterprise), "
    "COUNT(*) FILTER (WHERE city = '石家庄'), COUNT(*) FILTER (WHERE uscc IS NULL) FROM power_enterprise",
    "power.usage": "SELECT COUNT(*) FILTER (WHERE kwh < 0), COUNT(*) FILTER (WHERE month < '2024-01-01'), "
    "COUNT(*) FILTER (WHERE uscc IS NULL) FROM power_usage",
}


@pytest.mark.parametrize("table", sorted(province.PLANTED))
def test_bad_rows_are_as_many_as_said(files: Files, table: str) -> None:
    found = _one(files, BAD_ROWS[table])
    assert all(isinstance(n, int) and n > 0 for n in found)
    assert sum(n for n in found if isinstance(n, int)) == province.PLANTED[table]


@pytest.mark.parametrize("residents", [-1, 0, 999, 10_000_001])
def test_an_impossible_size_is_refused(tmp_path: Path, residents: int) -> None:
    with pytest.raises(Refusal) as refused:
        province.write(tmp_path / "none", residents=residents)
    assert refused.value.code is Code.SOURCE
    assert not (tmp_path / "none").exists()


def test_an_interrupted_write_leaves_no_finished_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(med, "planted", fail)
    with pytest.raises(KeyboardInterrupt):
        province.write(tmp_path, residents=1000)
    assert list(tmp_path.rglob("*.parquet")) == []
