from __future__ import annotations

import json
import stat
import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from sandbox.errors import Code, Refusal
from sandbox.home import EXAMPLE, Home, Settings, create_home, default_path, open_home, read_settings


def test_a_new_home_is_private_and_opens_with_the_defaults(tmp_path: Path) -> None:
    made = create_home(tmp_path / "a" / "home")
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((made.path / "sandbox.toml").stat().st_mode) == 0o600
    assert open_home(made.path) == made
    assert made.settings == Settings()
    assert all(p.is_dir() for p in (made.policies, made.snapshots, made.sources, made.spill))


def test_a_home_is_never_made_over_another(tmp_path: Path) -> None:
    create_home(tmp_path)
    (tmp_path / "sandbox.toml").write_text("port = 1234\n")
    with pytest.raises(Refusal) as refused:
        create_home(tmp_path)
    assert refused.value.code is Code.REQUEST
    assert open_home(tmp_path).settings.port == 1234


def test_the_example_says_every_default() -> None:
    said = asdict(Settings())
    written = tomllib.loads(EXAMPLE)
    assert json.loads(json.dumps(said)) == written


def test_a_home_may_have_its_store_elsewhere(tmp_path: Path) -> None:
    url = "postgresql://sandbox@db.example:5432/sandbox?passfile=/etc/pgpass"
    assert create_home(tmp_path / "a", url).store == open_home(tmp_path / "a").store == url
    named = create_home(tmp_path / "b", '账本 "1".db')
    assert named.store == open_home(tmp_path / "b").store == tmp_path / "b" / '账本 "1".db'


@pytest.mark.parametrize(
    "store",
    [
        "postgresql://u:secret-77@h/d",
        "postgresql://u@h/d?password=secret-77",
        "mysql://h/d",
        "",
        "two\nlines",
    ],
)
def test_a_store_that_cannot_be_one_is_refused_before_anything_is_made(tmp_path: Path, store: str) -> None:
    with pytest.raises(Refusal) as caught:
        create_home(tmp_path / "home", store)
    assert [reason.column for reason in caught.value.reasons] == ["store"]
    assert "secret-77" not in str(caught.value)
    assert not (tmp_path / "home").exists()


def test_a_folder_without_settings_is_no_home(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        open_home(tmp_path)
    assert refused.value.code is Code.REQUEST
    assert str(tmp_path) not in str(refused.value)


def test_settings_move_data_and_policies(tmp_path: Path) -> None:
    home = Home(tmp_path, read_settings(b'data = "/srv/data"\npolicies = "p"\n'))
    assert home.store == Path("/srv/data/store.db")
    assert home.policies == tmp_path / "p"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (b"port = 70000\nhots = 'x'\n[worker]\nthreads = 0\n", {"port", "hots", "worker.threads"}),
        (b"port = true\n", {"port"}),
        (b"host = 5\n", {"host"}),
        (b"policies = ''\n", {"policies"}),
        (b"worker = 3\n", {"worker"}),
        (b"[worker]\nsize = 3\n", {"worker.size"}),
        (b"port = ", {""}),
        (b"\xff", {""}),
    ],
)
def test_every_mistake_in_the_settings_is_named(text: bytes, keys: set[str]) -> None:
    with pytest.raises(Refusal) as refused:
        read_settings(text)
    assert {r.column for r in refused.value.reasons} == keys
    assert {r.code for r in refused.value.reasons} == {Code.DOCUMENT}


def test_the_default_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDBOX_HOME", raising=False)
    assert default_path() == Path("var/sandbox")
    monkeypatch.setenv("SANDBOX_HOME", "/x")
    assert default_path() == Path("/x")
