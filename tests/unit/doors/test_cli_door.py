"""The command line over a real home: real policies, real snapshots, the real gateway."""

from __future__ import annotations

import csv as csv_module
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from sandbox.demo import province
from sandbox.doors import cli
from sandbox.doors.cli import app
from sandbox.home import open_home
from sandbox.store.database import Database
from sandbox.store.search import LogFilter, LogSearch
from tests.support.postgres import Server
from tests.unit.doors.conftest import POLICIES, SECRET, SimpleGateway

COUNT = "SELECT age_band, COUNT(*) AS n FROM person GROUP BY age_band"
GRANT = "G-2025-017"
OPERATOR = "山西健康数据运营有限公司"


def run(*words: str, stdin: str = "") -> Result:
    """One command."""
    return CliRunner().invoke(app, list(words), input=stdin)


def json_of(result: Result) -> Any:
    """The one object on stdout."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a snapshot of ``med``, an analyst, and the tables of the invented province."""
    home = tmp_path_factory.mktemp("doors") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SANDBOX_HOME", str(home))
        token = json_of(run("init", "--json"))
        assert token["role"] == "bureau"
        assert token["token"].startswith("ds_")
        for domain in ("med", "power"):
            shutil.copytree(POLICIES / domain, home / "policies" / domain)
        province.write(home / "sources", 1000)
        assert json_of(run("ingest", "med", "--json"))["dataset"] == "med"
        run("people", "add", "li", "--role", "analyst", "--organisation", OPERATOR)
    return home


@pytest.fixture
def home(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SANDBOX_HOME", str(prepared))
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    return prepared


def _log(home: Path) -> tuple[Any, ...]:
    database = Database(open_home(home).store)
    try:
        return LogSearch(database).entries(LogFilter(limit=1000)).entries
    finally:
        database.close()


def ask(*words: str) -> Result:
    return run(*words, "--grant", GRANT, "--as", "li")


def test_a_query_shows_margins_guarantee_price_and_what_is_left(home: Path) -> None:
    result = ask("query", COUNT, "--epsilon", "0.25")
    assert result.exit_code == 0, result.output
    for text in ("0-17", " ± ", "差分隐私", "Differential privacy", "ε = 0.25", "剩余", "审计日志"):
        assert text in result.stdout
    again = ask("query", COUNT, "--epsilon", "0.25", "--lang", "en")
    assert "free" in again.stdout
    assert "差分隐私" not in again.stdout
    assert again.stdout.split("\n")[1] == result.stdout.split("\n")[1]


def test_the_forms_of_an_answer_agree(home: Path, tmp_path: Path) -> None:
    found = json_of(ask("query", COUNT, "--epsilon", "0.25", "--json"))
    names = [c["name"] for c in found["columns"]]
    assert names == ["age_band", "n"]
    told = ask("query", COUNT, "--epsilon", "0.25", "--csv")
    rows = list(csv_module.DictReader(io.StringIO(told.stdout)))
    assert [[r["age_band"], int(r["n"])] for r in rows] == found["rows"]
    assert [float(r["n_margin"]) for r in rows] == [m[1] for m in found["margins"]]
    assert "Differential privacy" in told.stderr
    written = ask("query", COUNT, "--epsilon", "0.25", "--arrow", str(tmp_path / "a.arrow"))
    assert written.stdout == ""
    with pa.OSFile(str(tmp_path / "a.arrow")) as file:
        table = pa.ipc.open_stream(file).read_all()
    assert [list(r.values())[:2] for r in table.to_pylist()] == found["rows"]


def test_a_query_comes_from_a_file_or_stdin(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "q.sql"
    file.write_text(COUNT, encoding="utf-8")
    one = json_of(ask("explain", "--file", str(file), "--json"))
    two = json_of(run("explain", "-", "--grant", GRANT, "--as", "li", "--json", stdin=COUNT))
    assert one["derivation"] == two["derivation"]
    assert ask("explain", "--file", str(tmp_path / "none")).exit_code == 18


def test_explain_shows_derivation_price_and_prediction(home: Path) -> None:
    result = ask("explain", COUNT, "--lang", "en")
    assert "release" in result.stdout
    assert "cost: epsilon" in result.stdout or "free" in result.stdout
    assert "predicted" in result.stdout


def test_a_refusal_says_everything_in_both_languages_and_exits_by_its_code(home: Path) -> None:
    result = ask("query", "SELECT id_no, nothing FROM person")
    assert result.exit_code == 12
    assert result.stdout == ""
    for text in ("DS-202", "本授权下没有此列", "no column of this name is open", "请用 catalog", "request "):
        assert text in result.stderr
    told = ask("query", "SELECT id_no FROM person", "--json")
    assert json.loads(told.stdout)["code"] == "DS-202"
    assert told.stderr == ""


@pytest.mark.parametrize("epsilon", ["null", "1e3", "NaN", "1_0", "", "0.5 "])
def test_an_epsilon_that_is_not_plain_is_refused(home: Path, epsilon: str) -> None:
    assert ask("query", COUNT, "--epsilon", epsilon).exit_code == 14


@pytest.mark.parametrize(
    "words",
    [
        ("query", COUNT),
        ("query", "--grant", GRANT),
        ("query", COUNT, "--file", "x", "--grant", GRANT),
        ("query", COUNT, "--grant", GRANT, "--json", "--csv"),
        ("ingest", "med", "--source", "claim"),
        ("ingest", "med", "--source", "nothing=x"),
        ("freeze", "everything", "x", "--reason", "r"),
        ("freeze", "grant", "--reason", "r"),
        ("people", "add", "x", "--role", "king", "--organisation", "o"),
        ("policy", "schema", "model"),
        ("nothing",),
    ],
)
def test_wrong_usage_exits_with_2(home: Path, words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


def test_catalog_budget_and_log(home: Path) -> None:
    assert f"{GRANT}  商业健康险产品定价" in run("catalog", "--as", "li").stdout
    assert {g["id"] for g in json_of(run("catalog", "--as", "li", "--json"))["grants"]} == {GRANT}
    json_of(ask("query", COUNT, "--epsilon", "0.25", "--json"))
    assert json_of(run("budget", "--as", "li", "--json"))["balances"][0]["account"].startswith(GRANT)
    assert GRANT in run("budget", "--as", "li").stdout
    entries = json_of(run("log", "--json", "--kind", "outcome", "--limit", "1"))
    assert [e["kind"] for e in entries["entries"]] == ["outcome"]
    assert "answered" in run("log", "--grant", GRANT).stdout
    assert run("log", "--limit", "0").exit_code == 18


def test_a_home_that_is_not_there(tmp_path: Path) -> None:
    result = run("catalog", "--home", str(tmp_path))
    assert result.exit_code == 18
    assert "sandbox init" in result.stderr


def test_a_home_may_have_its_store_in_postgresql(tmp_path: Path, server: Server) -> None:
    """The whole of a home's life at the command line, from ``init`` on."""
    home, url = tmp_path / "home", server.database()
    at = ("--home", str(home))
    assert json_of(run("init", "--store", url, "--json", *at))["role"] == "bureau"
    shutil.copytree(POLICIES / "med", home / "policies" / "med")
    province.write(home / "sources", 1000)
    assert json_of(run("ingest", "med", "--json", *at))["dataset"] == "med"
    run("people", "add", "li", "--role", "analyst", "--organisation", OPERATOR, *at)
    first = json_of(run("query", COUNT, "--grant", GRANT, "--as", "li", "--json", *at))
    again = json_of(run("query", COUNT, "--grant", GRANT, "--as", "li", "--json", *at))
    assert first["rows"] == again["rows"] and again["price"]["free"]
    accounts = json_of(run("budget", "--as", "li", "--json", *at))["balances"]
    assert [a["spent"] for a in accounts if a["account"].startswith(GRANT)] == [first["price"]["nano"]]
    kinds = {e["kind"] for e in json_of(run("log", "--json", *at))["entries"]}
    assert {"start", "ingest", "account", "intent", "outcome"} <= kinds
    assert not list(home.rglob("store.db*"))


def test_init_happens_once(home: Path) -> None:
    assert run("init").exit_code == 18


def test_a_stranger_is_not_found(home: Path) -> None:
    assert run("budget", "--as", "nobody").exit_code == 18


def test_ingestion_reports_its_quarantine_and_is_logged(home: Path) -> None:
    result = run("ingest", "power", "--sources", str(home / "sources" / "power"))
    assert result.exit_code == 0, result.output
    assert "usage" in result.stdout
    assert "null uscc: 1" in result.stdout
    assert "usage grid" in result.stdout
    assert next(e for e in _log(home) if e.kind == "ingest").datasets == ()
    named = [f"--source={t}={home}/sources/med/{t}.parquet" for t in ("person", "claim", "claim_item")]
    short = run("ingest", "med", *named, "--sources", "/nothing")
    assert short.exit_code == 16
    assert run("ingest", "nothing").exit_code == 18
    assert run("ingest", "med", "--as", "li").exit_code == 18


def test_people_come_with_a_token_that_is_shown_once(home: Path) -> None:
    added = run("people", "add", "wang", "--role", "owner", "--organisation", "o", "--days", "3")
    token = added.stdout.strip().split("\n")[-1]
    assert token.startswith("ds_")
    assert run("people", "add", "wang", "--role", "owner", "--organisation", "o").exit_code == 12
    second = json_of(run("people", "token", "wang", "--label", "two", "--json"))["token"]
    people = {p["name"]: p for p in json_of(run("people", "list", "--json"))["people"]}
    first = people["wang"]["tokens"][0]
    assert first["expires"] is not None
    assert "wang" in run("people", "list").stdout
    assert second not in run("people", "list").stdout
    assert "revoked" in run("people", "token", "wang", "--revoke", first["id"], "--lang", "en").stdout
    assert run("people", "token", "wang", "--revoke", first["id"]).exit_code == 18
    assert run("people", "token", "nobody").exit_code == 18
    assert run("people", "list", "--as", "li").exit_code == 18
    assert not [e for e in _log(home) if token in e.payload or second in e.payload]
    assert sum(e.kind == "account" for e in _log(home)) >= 3


def test_people_are_changed_shut_out_and_let_in_again(home: Path) -> None:
    run("people", "add", "wang", "--role", "owner", "--organisation", "o")
    narrow = json_of(run("people", "token", "wang", "--scope", "query", "--json"))["token"]
    assert run("people", "token", "wang", "--scope", "king").exit_code == 2
    assert run("people", "change", "wang", "--role", "operator", "--organisation", "p").exit_code == 0
    assert run("people", "change", "wang", "--role", "king", "--organisation", "p").exit_code == 2
    assert run("people", "unlock", "wang").exit_code == 13
    assert json_of(run("people", "disable", "wang", "--json")) == {"disabled": "wang"}
    told = {p["name"]: p for p in json_of(run("people", "list", "--json"))["people"]}["wang"]
    assert (told["role"], told["organisation"], told["password"]) == ("operator", "p", False)
    assert told["disabled"] is not None and {t["scope"] for t in told["tokens"]} == {"all", "query"}
    assert "disable" in run("people", "list").stdout
    assert run("budget", "--as", "wang").exit_code == 18
    assert "wang" in run("people", "enable", "wang", "--lang", "en").stdout
    assert run("budget", "--as", "wang").exit_code == 0
    fresh = run("people", "reset", "wang").stdout.strip().split("\n")[-1]
    assert fresh.startswith("ds_") and fresh != narrow
    told = {p["name"]: p for p in json_of(run("people", "list", "--json"))["people"]}["wang"]
    assert [t["revoked"] is None for t in told["tokens"]].count(True) == 1
    assert run("people", "disable", "bureau").exit_code != 0  # oneself


def test_freezing_stops_and_lifting_takes_two(home: Path) -> None:
    run("people", "add", "zhao", "--role", "bureau", "--organisation", "bureau")
    drilled = json_of(run("freeze", "grant", GRANT, "--reason", "drill", "--drill", "--json"))
    assert drilled["grants"] == [GRANT] and "nothing is frozen" in run(
        "freeze", "grant", GRANT, "--reason", "drill", "--drill"
    ).stdout.replace("\n", " ")
    frozen = json_of(run("freeze", "grant", GRANT, "--reason", "drill", "--json"))
    assert run("freeze", "grant", GRANT + "x", "--reason", "typo").exit_code == 18
    assert ask("query", COUNT).exit_code == 13
    assert run("freeze", "everything", "--reason", "x", "--as", "li").exit_code == 18
    number = str(frozen["id"])
    assert "second person" in run("lift", number).stdout
    assert run("lift", number).exit_code == 13
    assert "lifted" in run("lift", number, "--as", "zhao").stdout
    assert ask("query", COUNT, "--epsilon", "0.25").exit_code == 0


def test_policy_check_names_every_mistake(home: Path, tmp_path: Path) -> None:
    assert "valid: 2 datasets" in run("policy", "check").stdout
    assert json_of(run("policy", "check", str(POLICIES / "med"), "--json"))["datasets"] == ["med"]
    bad = tmp_path / "bad.yaml"
    bad.write_text("kind: dataset\nid: x\nlevel: nine\n", encoding="utf-8")
    result = run("policy", "check", str(bad))
    assert result.exit_code == 16
    assert result.stderr.count("DS-601") > 1
    assert "bad.yaml:3" in result.stderr


def test_policy_test_runs_the_cases(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.queries.yaml"
    file.write_text(f"- {{grant: {GRANT}, allow: '{COUNT}'}}\n", encoding="utf-8")
    assert "1 of 1" in run("policy", "test", str(tmp_path)).stdout
    file.write_text(f"- {{grant: {GRANT}, refuse: DS-202, sql: '{COUNT}'}}\n", encoding="utf-8")
    result = run("policy", "test", str(file), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["outcomes"][0]["got"] == "answered"
    file.write_text("- {grant: G-NONE, refuse: DS-301, sql: SELECT 1}\n", encoding="utf-8")
    assert run("policy", "test", str(file)).exit_code == 0
    file.unlink()
    assert run("policy", "test", str(tmp_path)).exit_code == 18


def test_policy_diff_says_what_opens(home: Path) -> None:
    told = run("policy", "diff", str(POLICIES / "med"), str(POLICIES / "power"), "--lang", "en").stdout
    assert "Opens: the policy gains the dataset power." in told
    assert "没有差别" in run("policy", "diff", str(POLICIES / "med"), str(POLICIES / "med")).stdout


def test_policy_draft_opens_exactly_what_the_query_needs(home: Path, tmp_path: Path) -> None:
    sql = (
        "SELECT p.age_band, AVG(c.total_fee) FROM claim c JOIN person p ON p.person_id = c.person_id "
        "WHERE c.hospital_id IN (SELECT hospital_id FROM hospital WHERE grade = '一级') GROUP BY p.age_band"
    )
    words = ("--id", "G-9", "--to", "o", "--scenario", "S-9", "--title-zh", "测试", "--title-en", "t")
    days = ("--purpose", "p", "--from", "2026-01-01", "--until", "2026-12-31")
    result = run("policy", "draft", sql, *words, *days)
    assert result.exit_code == 0, result.output
    assert '"med.claim": ["hospital_id", "person_id", "total_fee"]' in result.stdout
    assert '"med.person": ["age_band", "person_id"]' in result.stdout
    assert '"med.hospital": ["grade", "hospital_id"]' in result.stdout
    assert '["med.claim.person_id", "med.person.person_id"]' in result.stdout
    assert '["med.claim.hospital_id", "med.hospital.hospital_id"]' in result.stdout
    (tmp_path / "d.yaml").write_text(result.stdout, encoding="utf-8")
    both = run("policy", "check", str(POLICIES / "med"), str(tmp_path / "d.yaml"))
    assert both.exit_code == 0, both.output
    assert run("policy", "draft", "SELECT id_no FROM person", *words, *days).exit_code == 12
    assert run("policy", "draft", sql, *words, *days[:-1], "soon").exit_code == 2


def test_policy_schema_is_json(home: Path) -> None:
    assert json_of(run("policy", "schema", "grant"))["$id"].endswith("grant")


@pytest.fixture
def simple(home: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleGateway:
    """The gateway that says what a test wants, behind the same commands."""
    gateway = SimpleGateway(Database(open_home(home).store), open_home(home).log)
    monkeypatch.setattr("sandbox.gateway.open_gateway", lambda _: gateway)
    return gateway


def test_broken_documents_deny_without_naming_files(home: Path) -> None:
    broken = home / "policies" / "broken.yaml"
    broken.write_text("kind: nonsense\n", encoding="utf-8")
    try:
        result = ask("query", COUNT)
        assert result.exit_code == 16
        assert "broken.yaml" not in result.output
        assert "broken.yaml" in run("policy", "check").stderr
    finally:
        broken.unlink()


def test_an_accident_is_a_code_and_no_text(simple: SimpleGateway) -> None:
    result = ask("query", f"boom {SECRET}")
    assert result.exit_code == 19
    assert "DS-901" in result.stderr
    assert SECRET not in result.output
    assert "Traceback" not in result.output
    told = json.loads(ask("query", "boom", "--json").stdout)
    assert told["code"] == "DS-901"
    assert len(told["incident"]) == 12


def test_awkward_values_stand_in_line(simple: SimpleGateway) -> None:
    lines = ask("query", "SELECT 1", "--lang", "zh").stdout.split("\n")
    assert "4,570 ± 120" in lines[1]
    assert "12,345,678,901,234,567,890 ±   –" in lines[2]
    assert "-3 ±   2" in lines[3]
    assert len({cell_len(line[: line.index("±")]) for line in lines[1:4]}) == 1


def test_the_entry_point_ends_in_an_exit_code(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["sandbox", "budget", "--as", "nobody"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 18
