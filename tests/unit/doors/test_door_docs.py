"""What is not documented does not exist: commands, options, addresses, settings, codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from sandbox.doors import filters, http_reply
from sandbox.doors.asking import FIELDS
from sandbox.doors.cli import app
from sandbox.doors.http_schema import ROUTES, SCHEMAS
from sandbox.doors.reference import GROUPS, errors
from sandbox.errors import Code
from sandbox.home import Settings

DOCS = Path(__file__).parents[3] / "docs"
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
HTTP = (DOCS / "http.md").read_text(encoding="utf-8")


def commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its full name."""
    for name, found in group.commands.items():
        if hasattr(found, "commands"):
            if found.invoke_without_command:
                yield f"{above}{name}", found
            yield from commands(found, f"{above}{name} ")
        else:
            yield f"{above}{name}", found


FOUND = dict(commands(typer.main.get_command(app)))
ROWS = {
    re.match(r"[a-z ]*[a-z]", cells[1].strip().strip("`"))[0]: cells  # type: ignore[index]  # always matches
    for line in CLI.split("## Commands")[1].split("\n## ")[0].splitlines()
    if line.startswith("| `") and (cells := re.split(r"(?<!\\)\|", line))
}


def test_every_command_is_documented_and_no_other() -> None:
    assert set(ROWS) == set(FOUND)


def test_every_option_is_documented_with_its_command() -> None:
    shared = set(re.findall(r"`(--[a-z-]+)", CLI.split("## Commands")[0]))
    for name, command in FOUND.items():
        options = {o for p in command.params for o in p.opts if o.startswith("--")} - {"--help"}
        own = set(re.findall(r"`(--[a-z-]+)", ROWS[name][3]))
        assert options - shared == own, name


def test_every_argument_is_documented() -> None:
    for name, command in FOUND.items():
        wanted = sum(p.param_type_name == "argument" for p in command.params)
        shown = ROWS[name][1].strip().strip("`").removeprefix(name).split()
        assert len(shown) == wanted, name


def test_every_setting_is_documented_with_its_default() -> None:
    table = CLI.split("## Settings")[1]
    told = dict(re.findall(r"^\| `([a-z_.]+)` \| `([^`]+)` \|", table, re.MULTILINE))
    settings: dict[str, object] = {}
    for name, value in asdict(Settings()).items():
        settings |= {f"{name}.{n}": v for n, v in value.items()} if isinstance(value, dict) else {name: value}
    assert {k: v.strip('"') for k, v in told.items()} == {
        k: str(list(v) if isinstance(v, tuple) else v) for k, v in settings.items()
    }


def test_every_address_and_parameter_is_documented() -> None:
    told = dict(re.findall(r"^\| `([A-Z]+ /[a-z0-9/{}]+)` \|[^|]*\|([^|]*)\|", HTTP, re.MULTILINE))
    assert {name: set(re.findall(r"`([a-z]+)`", cell)) for name, cell in told.items()} == {
        f"{r.method} {path}": set(r.parameters) for path, r in ROUTES.items()
    }
    assert set(ROUTES["/v1/log"].parameters) == {*filters.NAMES, "view"}


def test_every_field_and_header_is_documented() -> None:
    assert set(
        re.findall(r"^\| `([a-z_]+)` \| ", HTTP.split("## Asking")[1].split("##")[0], re.MULTILINE)
    ) == set(FIELDS)
    assert set(SCHEMAS["Query"]["properties"]) == set(FIELDS)
    for name in SCHEMAS["Answer"]["required"]:
        assert f"`{name}`" in HTTP
    for name, value in http_reply.SECURITY.items():
        assert f"{name}: {value}".lower() in HTTP.lower()


def test_the_table_of_codes_is_made_from_the_codes() -> None:
    assert (DOCS / "errors.md").read_text(encoding="utf-8") == errors()
    assert {c.value.number // 100 for c in Code} == set(GROUPS)


def test_codes_are_their_own() -> None:
    numbers = [c.value.number for c in Code]
    assert len(set(numbers)) == len(numbers) == len(Code.__members__)
