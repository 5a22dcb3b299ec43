"""Sources from the command line: documents, discovery, preview, drafts, ingestion; and who may do what."""

from __future__ import annotations

import gzip
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sandbox.doors.cli import app
from sandbox.policy.documents import Share
from sandbox.policy.load import check, load
from sandbox.snapshot import current
from tests.connectors import detectors

ROWS = 120
DATASET = """
kind: dataset
id: med
title: {zh: 就诊, en: Visits}
owner: 卫健委
class: 卫生/就诊
level: 4
share: conditional
why: {reason: 测试, basis: 测试}
snapshot: monthly
tables:
  visit:
    unit: {person: id_no}
    columns:
      id_no: {type: string, level: 4, use: [count]}
      city: {type: string, level: 1, use: [group]}
      fee: {type: decimal, level: 3, use: [measure], clip: [0, 1000], scale: 0.01}
      day: {type: date, level: 1, use: [group]}
"""


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def json_of(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SANDBOX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    assert run("init").exit_code == 0
    for name, role in (("wang", "owner"), ("li", "operator")):
        assert run("people", "add", name, "--role", role, "--organisation", "卫健委").exit_code == 0
    draw = random.Random(8)
    people = [detectors.resident(draw) for _ in range(30)]
    lines = ["身份证号,city,fee,day"]
    lines += [
        f"{people[i % 30]},{('太原', '大同')[i % 2]},{i}.5,2024-01-{i % 28 + 1:02d}" for i in range(ROWS)
    ]
    lines[7] += ",more"
    lines[9] = lines[9].replace("2024", "never")
    drop = tmp_path / "home" / "sources" / "drop"
    drop.mkdir(parents=True)
    (drop / "visit.csv").write_text("\n".join(lines) + "\n", encoding="gb18030")
    return tmp_path / "home"


def add(*more: str) -> Result:
    return run("source", "add", "drop", "--connector", "csv", "--option", "path=drop", *more)


def test_a_source_is_added_listed_tested_and_discovered(home: Path) -> None:
    assert add("--table", "med.visit=visit").exit_code == 0
    path = home / "policies" / "sources" / "drop.yaml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert load([home / "policies"]).sources[0].tables["med.visit"].name == "visit"
    assert json_of(run("source", "list", "--json"))["sources"] == [
        {"id": "drop", "connector": "csv", "tables": ["med.visit"]}
    ]
    assert "drop" in run("source", "list").stdout
    assert json_of(run("source", "test", "drop", "--json"))["connected"] is True
    assert "connected" in run("source", "test", "drop").stdout
    (table,) = json_of(run("source", "discover", "drop", "--json"))["tables"]
    assert [c["name"] for c in table["columns"]] == ["身份证号", "city", "fee", "day"]
    assert "身份证号" in run("source", "discover", "drop").stdout
    assert add().exit_code == 18


@pytest.mark.parametrize(
    "wrong",
    [
        ("--option", "password=hunter2-7712"),
        ("--option", "password=env:X"),
        ("--option", "speed=9"),
        ("--table", "med=visit"),
    ],
)
def test_a_source_that_could_not_be_used_is_not_written(home: Path, wrong: tuple[str, str]) -> None:
    done = add(*wrong)
    assert done.exit_code == 16 and "7712" not in done.output
    assert not (home / "policies" / "sources").exists()


def test_misuse_is_told(home: Path) -> None:
    assert add("--option", "path").exit_code == 2
    assert run("source", "test", "nothing").exit_code == 18
    assert run("source", "add", "x", "--connector", "nothing", "--option", "path=x").exit_code == 16


def test_only_the_owner_sees_counts_and_drafts(home: Path) -> None:
    add()
    for words in (("source", "preview", "drop", "visit"), draft_words()):
        for person in ("bureau", "li"):
            assert run(*words, "--as", person).exit_code == 18
    assert run("source", "discover", "drop", "--as", "li").exit_code == 18
    found = json_of(run("source", "preview", "drop", "visit", "--as", "wang", "--json"))
    assert (found["rows"], found["malformed"]) == (ROWS - 1, 1)
    assert found["columns"][1] == {"name": "city", "type": "string", "nulls": 0, "distinct": 2}
    told = run("source", "preview", "drop", "visit", "--as", "wang").stdout
    assert "119" in told and "太原" not in told


def draft_words() -> tuple[str, ...]:
    heading = ("--title-zh", "就诊", "--title-en", "Visits", "--owner", "卫健委", "--class", "卫生/就诊")
    return ("dataset", "draft", "--id", "med", "--source", "drop", *heading)


def test_a_draft_loads_opens_nothing_and_keeps_what_data_say_in_comments(home: Path, tmp_path: Path) -> None:
    add()
    text = run(*draft_words(), "--as", "wang").stdout
    assert json_of(run(*draft_words(), "--as", "wang", "--json"))["dataset"].strip() == text.strip()
    path = tmp_path / "draft.yaml"
    path.write_text(text, encoding="utf-8")
    checked = check([path])
    assert checked.mistakes == ()
    (dataset,) = checked.documents.datasets
    (table,) = dataset.tables
    assert dataset.share.value == "none" and all(c.use == frozenset() for c in table.columns)
    shares = {c.name: c.share for c in table.columns}
    assert all(c.domain is None and c.range.lo is None and c.range.hi is None for c in table.columns)
    assert table.units[0].column == "身份证号" and shares["身份证号"] is Share.NONE
    assert '# confirm 待确认: domain: ["大同", "太原"]' in text
    assert "# confirm 待确认: scale: 0.1" in text and "resident_id: confidence 置信度 1.00" in text
    # What a person confirms is a document still: the marks are taken away, the facts go into the column.
    assert "range: [0.5" in text.replace("0.500000", "0.5")


def test_ingestion_reads_what_the_source_document_names(home: Path) -> None:
    (home / "policies" / "med.yaml").write_text(DATASET, encoding="utf-8")
    (home / "policies" / "drop.yaml").write_text(
        "kind: source\nid: drop\nconnector: csv\noptions: {path: drop}\n"
        "tables:\n  med.visit: {table: visit, columns: {id_no: 身份证号}, where: [fee >= 10]}\n",
        encoding="utf-8",
    )
    (table,) = json_of(run("ingest", "med", "--json"))["tables"]
    reasons = {(r["reason"], r["rows"]) for r in table["reasons"]}
    # Ten rows hold fees below 10 and are not read; the ragged line is counted whatever it holds.
    assert (table["rows_in"], table["published"], table["quarantined"]) == (ROWS - 10 + 1, ROWS - 10, 1)
    assert reasons == {("malformed", 1)}
    before = current(home / "snapshots", "med").id
    (home / "sources" / "drop" / "visit.csv").write_bytes(b"\xff\xff\xff")
    failed = run("ingest", "med")
    assert failed.exit_code == 16 and "DS-611" in failed.output and str(home) not in failed.output
    assert current(home / "snapshots", "med").id == before


def test_two_sources_of_one_table_are_refused(home: Path) -> None:
    (home / "policies" / "med.yaml").write_text(DATASET, encoding="utf-8")
    add("--table", "med.visit=visit")
    assert (
        run(
            "source", "add", "two", "--connector", "csv", "--option", "path=drop", "--table", "med.visit=x"
        ).exit_code
        == 0
    )
    assert run("ingest", "med").exit_code == 16


def test_a_killed_ingestion_leaves_the_last_snapshot_and_no_plaintext(home: Path) -> None:
    """Killed while it reads a compressed file, whose text is spooled: whole before, whole after, no litter."""
    (home / "policies" / "med.yaml").write_text(DATASET, encoding="utf-8")
    drop = home / "sources" / "drop" / "visit.csv"
    lines = "".join(f"p{i % 999},太原,{i % 900}.5,2024-01-01\n" for i in range(150_000))
    drop.with_suffix(".csv.gz").write_bytes(gzip.compress(f"id_no,city,fee,day\n{lines}".encode("gb18030")))
    drop.unlink()
    add("--table", "med.visit=visit")
    before = json_of(run("ingest", "med", "--json"))["snapshot"]
    for delay in (0.0, 0.1, 0.3):
        command = [sys.executable, "-c", "from sandbox.doors.cli import main; main()", "ingest", "med"]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stage = home / "snapshots" / "med" / f".staging-{child.pid}"
        while child.poll() is None and not stage.exists():
            time.sleep(0.005)
        time.sleep(delay)
        child.kill()
        assert child.wait() == -signal.SIGKILL
        assert current(home / "snapshots", "med").id == before
        assert not list((home / "spill").iterdir())
    done = json_of(run("ingest", "med", "--json"))
    assert done["tables"][0]["published"] == 150_000 and done["snapshot"] != before
    assert not list((home / "snapshots" / "med").glob(".staging-*"))
