"""Options given before a subcommand: they hold for every command, or are refused; none is ignored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer import BadParameter
from typer.main import get_command
from typer.testing import CliRunner

from sandbox.doors.cli import app

SHARED = ("--home", "--lang", "--as", "--json")


def commands(at: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that lead to it; a group only if it is a command by itself."""
    for name, found in getattr(at, "commands", {}).items():
        if getattr(found, "invoke_without_command", True):
            yield (*words, name), found
        yield from commands(found, (*words, name))


ROOT = get_command(app)
ALL = dict(commands(ROOT))


def options(command: Any) -> dict[str, Any]:
    return {option: param for param in command.params for option in param.opts if option.startswith("--")}


def written(words: tuple[str, ...]) -> list[str]:
    """A line of words that gives a command what it cannot do without: numbers are names as well."""
    line = list(words)
    for param in ALL[words].params:
        if param.required:
            word = {"scope": "grant", "kind": "grant", "verb": "submit", "role": "owner"}.get(param.name, "1")
            line += [param.opts[0], word] if param.opts[0].startswith("--") else [word]
    return line


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_an_option_before_a_subcommand_holds_for_it(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command only notes the options that it was called with."""
    command, takes = ALL[words], options(ALL[words])
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(command, "callback", lambda **given: told.append(given))
    for place in range(len(words)):
        for option, value in zip(SHARED, (str(tmp_path / "right"), "en", "li", None), strict=True):
            line = written(words)
            line[place:place] = [option] if value is None else [option, value]
            if option in takes:
                ROOT.main(line, prog_name="sandbox", standalone_mode=False)
                assert str(told.pop()[takes[option].name]) == (value or "True"), line
            else:
                with pytest.raises(BadParameter, match="does not take"):
                    ROOT.main(line, prog_name="sandbox", standalone_mode=False)
            assert not told


def test_the_nearest_option_holds(tmp_path: Path) -> None:
    """A command's own option is asked before its group's, a group's before the program's."""
    far, near, own = (tmp_path / name for name in ("far", "near", "own"))
    made = CliRunner().invoke(app, ["init", "--home", str(own)])
    assert made.exit_code == 0, made.output
    lines = (
        ["--home", far, "budget", "--home", own, "--json"],
        ["--home", far, "people", "--home", near, "list", "--home", own],
        ["--home", far, "people", "--home", own, "list"],
        ["--home", own, "people", "list"],
        ["--home", own, "budget"],
    )
    for line in lines:
        result = CliRunner().invoke(app, [str(word) for word in line])
        assert result.exit_code == 0, (line, result.output)
    assert not far.exists() and not near.exists()


def test_an_approval_goes_to_the_home_that_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The case that was found: ``budget --home H approve`` looked into another home."""
    monkeypatch.setenv("SANDBOX_HOME", str(tmp_path / "other"))
    home = str(tmp_path / "home")
    assert CliRunner().invoke(app, ["init", "--home", home]).exit_code == 0
    here = CliRunner().invoke(app, ["budget", "--home", home, "approve", "G-1/person"])
    after = CliRunner().invoke(app, ["budget", "approve", "G-1/person", "--home", home])
    assert (here.exit_code, here.output) == (after.exit_code, after.output)
    assert not (tmp_path / "other").exists()
