"""What every command shares: its options, who acts, and what becomes of a refusal or an accident.

Invariants: every command is registered by ``command``, so none ends in a traceback; the exit code is 0,
2 for usage, 10 plus the hundred of a refusal's code, or 1 where ``policy test`` found a difference; an option
given before a subcommand holds for it, or is refused as usage: none is ignored.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, ParamSpec

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from sandbox.casework.people import People
from sandbox.doors.http_shield import incident
from sandbox.doors.ports import Gateway, open_gateway
from sandbox.doors.terminal import Language, Terminal, languages
from sandbox.errors import Code, Reason, Refusal, refuse
from sandbox.home import Home, default_path, open_home
from sandbox.model import Person
from sandbox.policy.roles import Action, check
from sandbox.store.accounts import Accounts
from sandbox.store.audit import AuditLog, Event
from sandbox.store.database import Database

P = ParamSpec("P")

BUREAU: Final = "bureau"
"""Who acts on the local machine unless ``--as`` names another."""

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="The sandbox home. 沙箱目录 [$SANDBOX_HOME, ./var/sandbox]")
]
LangOption = Annotated[Language | None, typer.Option("--lang", help="Speak only this language. 语言")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout. 输出 JSON")]
AsOption = Annotated[str, typer.Option("--as", metavar="NAME", help="Act as this person. 以此人身份")]


@dataclass(frozen=True, slots=True)
class Office:
    """A home with its store open: accounts and log, and the person who acts."""

    home: Home
    database: Database
    person: Person
    accounts: Accounts

    def only(self, action: Action) -> None:
        """Refuse with ``Code.ROLE`` anyone whose role may not do this."""
        check(self.person, action)

    @property
    def people(self) -> People:
        """Who has an account, and how they come in."""
        return People(self.database, self.accounts, AuditLog(self.database), utc_now)

    def note(self, kind: Event, **facts: object) -> None:
        """Write what was done at this machine into the audit log."""
        who = self.person
        AuditLog(self.database).append(
            kind,
            time=utc_now(),
            person=who.name,
            organisation=who.organisation,
            decision="done",
            payload=facts,
        )


def utc_now() -> dt.datetime:
    """The time, UTC."""
    return dt.datetime.now(dt.UTC)


def find_home(path: Path | None) -> Home:
    """The home that ``--home`` names, or the default one."""
    return open_home(default_path() if path is None else path)


@contextmanager
def office(home: Home, name: str) -> Iterator[Office]:
    """The store of a home, and the person of this name.  Refuses with ``Code.NOT_FOUND`` a stranger."""
    database = Database(home.store)
    try:
        accounts = Accounts(database)
        entry = next((e for e in accounts.entries() if e.person.name == name), None)
        if entry is None:
            raise refuse(Code.NOT_FOUND, f"person {name}")
        if entry.disabled is not None:
            raise refuse(Code.WHO, f"{name} is disabled", "act as another, with --as", "请以 --as 指定他人")
        yield Office(home, database, entry.person, accounts)
    finally:
        database.close()


@contextmanager
def gateway_of(path: Path | None, name: str) -> Iterator[tuple[Gateway, Person]]:
    """The gateway over a home, and who asks."""
    home = find_home(path)
    with office(home, name) as found:
        gateway = open_gateway(home)
        try:
            yield gateway, found.person
        finally:
            gateway.close()


def terminal_of(lang: Language | None, as_json: bool = False) -> Terminal:
    """The terminal of a command."""
    return Terminal(languages(lang), as_json=as_json)


class Command(TyperCommand):
    """A command for which the options given before its name hold too."""

    def invoke(self, ctx: Any) -> Any:  # typer keeps its contexts' type to itself
        """Run, with what was given to the groups above."""
        hand_down(ctx)
        return super().invoke(ctx)


class Group(TyperGroup):
    """A group that is a command by itself: likewise."""

    def invoke(self, ctx: Any) -> Any:
        """Run, with what was given to the groups above."""
        hand_down(ctx)
        return super().invoke(ctx)


def hand_down(context: Any) -> None:
    """Options written before this command's name, where its own do not say otherwise; the nearest holds.

    Raises ``BadParameter`` for one that the command does not take: none is ignored.
    """
    own = {param.opts[0]: param.name for param in context.command.params}
    told = {name for name in own.values() if _given(context, name)}
    above = context.parent
    while above is not None:
        for param in above.command.params:
            if _given(above, param.name):
                here = own.get(param.opts[0])
                if here is None:
                    raise typer.BadParameter(f"`{context.command_path}` does not take {param.opts[0]}")
                if here not in told:
                    context.params[here] = above.params[param.name]
                    told.add(here)
        above = above.parent


def _given(context: Any, name: str) -> bool:
    """Whether an option was written on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def shared(
    *,
    name: AsOption = BUREAU,
    as_json: JsonOption = False,
    home: HomeOption = None,
    lang: LangOption = None,
) -> None:
    """The options that may stand before any subcommand; ``Command`` hands them down."""


def group(name: str, about: str) -> typer.Typer:
    """A group of commands, which takes the shared options before its subcommand as well."""
    made = typer.Typer(name=name, cls=Group, help=about, no_args_is_help=True)
    made.callback()(shared)
    return made


def command(app: typer.Typer, name: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Register a command that ends in words and an exit code, whatever happens."""

    def register(function: Callable[P, None]) -> Callable[P, None]:
        run = ended(function)
        app.command(name, cls=Command)(run)
        return run

    return register


def ended(function: Callable[P, None]) -> Callable[P, None]:
    """The function, ending in words and an exit code whatever happens."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        lang, as_json = kwargs.get("lang"), kwargs.get("as_json")
        terminal = terminal_of(lang if isinstance(lang, Language) else None, as_json is True)
        with guarded(terminal):
            function(*args, **kwargs)

    return run


@contextmanager
def guarded(terminal: Terminal) -> Iterator[None]:
    """Turn refusals into words, and anything unexpected into ``Code.INTERNAL``; then exit."""
    try:
        yield
    except (typer.Exit, typer.Abort, TyperException, BrokenPipeError):
        raise
    except Refusal as refusal:
        raise typer.Exit(terminal.refused(refusal.reasons)) from None
    except Exception as error:
        raise typer.Exit(terminal.refused((Reason(Code.INTERNAL),), incident=incident(error))) from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file of the user's.  Refuses with ``Code.REQUEST`` if it cannot be."""
    try:
        path.write_bytes(data)
    except OSError:
        hint = "name a file that you may write"
        raise refuse(Code.REQUEST, "a file cannot be written", hint, "请给出可写的文件") from None


def read_text(path: Path) -> str:
    """A file of the user's.  Refuses with ``Code.REQUEST`` if it cannot be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        hint = "name a UTF-8 file that you may read"
        raise refuse(Code.REQUEST, "a file cannot be read", hint, "请给出可读的 UTF-8 文件") from None
