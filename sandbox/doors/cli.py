"""The command line: ``sandbox``.  Each command is a function in a ``cli_…`` file.

Start reading at ``cli_base``: what every command shares.  docs/cli.md lists commands, options, exit codes.
"""

from __future__ import annotations

import importlib
import io
import sys
from typing import Annotated

import typer

from sandbox.doors import cli_ask, cli_case, cli_doctor, cli_keep, cli_lineage, cli_log
from sandbox.doors.cli_audit import audit
from sandbox.doors.cli_base import HomeOption, LangOption, command, find_home, guarded, shared, terminal_of
from sandbox.doors.cli_policy import policy
from sandbox.doors.cli_source import dataset, source
from sandbox.doors.ports import open_gateway
from sandbox.home import SETTINGS_FILE, create_home, default_path, open_home

app = typer.Typer(
    name="sandbox",
    help="Data Sandbox: query public data under a grant; raw data never leaves.  数据沙箱：数据可用不可见。",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.callback()(shared)
cli_keep.register(app)
app.add_typer(policy)
app.add_typer(audit)
app.add_typer(source)
app.add_typer(dataset)
cli_ask.register(app)
cli_log.register(app)
cli_lineage.register(app)
cli_case.register(app)
cli_doctor.register(app)


@command(app, "serve")
def serve(
    host: Annotated[str | None, typer.Option("--host", help="Listen here; else as set. 监听地址")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Listen here; else as set. 端口")
    ] = None,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Serve HTTP under /v1 until interrupted.  启动 HTTP 服务。"""
    from sandbox.doors import server

    here = find_home(home)
    server.serve(here, open_gateway(here), host, port)


@command(app, "demo")
def demo(
    once: Annotated[bool, typer.Option("--once", help="End instead of serving. 演示后退出")] = False,
    residents: Annotated[
        int,
        typer.Option("--residents", min=1_000, max=10_000_000, help="Size of the invented province. 居民数"),
    ] = 100_000,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """Ingest the demo data, tell the story, then serve.  演示。"""
    run = importlib.import_module("sandbox.demo.story").run
    terminal = terminal_of(lang)
    path = home if home is not None else default_path()
    here = open_home(path) if (path / SETTINGS_FILE).exists() else create_home(path)
    run(here, once=once, residents=residents, console=terminal.out, spoken=terminal.spoken)


def main() -> None:
    """The entry point.  Commands end in words by themselves; this fence is around typer's own work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever the locale: both languages, and CSV, are UTF-8
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        with guarded(terminal_of(None)):
            app()
    except typer.Exit as end:
        raise SystemExit(end.exit_code) from None
