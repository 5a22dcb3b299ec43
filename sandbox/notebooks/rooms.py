"""All analysts' rooms: started when somebody comes, watched while they run, ended when nobody needs them.

Invariants: one room a person at most; a home is its owner's alone, and where the gateway is root it bears a
number that nobody else has; a room over its memory or its quota loses its kernels, not its files.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.engine import box, found
from sandbox.engine.layers import Layer
from sandbox.errors import Code, Refusal, refuse
from sandbox.home import Notebooks
from sandbox.model import Person
from sandbox.notebooks.room import Figures, Room, Sockets
from sandbox.notebooks.walls import NEEDED, Walls, client

WATCH: Final = logging.getLogger("sandbox.notebooks")
GLANCE_S: Final = 2.0
"""How often rooms are looked at."""
_PATIENCE_S: Final = 60.0
_FIRST_OWNER: Final = 600_000_000
"""Numbers of users that no distribution gives to anybody."""
_MB: Final = 1 << 20

EXAMPLES: Final = {"zh": "示例", "en": "examples"}
"""The folder of a new home that says how things are done."""

Line = Callable[[Person, Path], AbstractContextManager[object]]
"""Opens a person's own socket of the gateway at a path, for as long as it is entered."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One person's room as they may see it: ``figures is None`` while it does not run."""

    figures: Figures | None
    memory: int
    disk: int


class Rooms:
    """See the module.  Thread-safe."""

    def __init__(
        self,
        folder: Path,
        settings: Notebooks,
        line: Line,
        examples: Callable[[str], Path | None],
        told: Callable[[Person, str], None],
        known: Callable[[str], bool],
    ) -> None:
        """``folder``: of all homes.  ``examples``: what a new home begins with, by language, if anything.

        ``told``: who is to know what became of whose room: ``started``, ``ended``, or a limit that it met.
        ``known``: whether somebody of this name may still come in.
        """
        self._folder = folder
        self._settings = settings
        self._line = line
        self._examples = examples
        self._told = told
        self._known = known
        self._rooms: dict[str, Room] = {}
        self._people: dict[str, Person] = {}
        self._lock = threading.Lock()
        self._starting: set[str] = set()
        self._doors: dict[str, threading.Lock] = {}
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="rooms", daemon=True)
        self._watcher.start()

    def visit(self, person: Person, lang: str) -> Path:
        """The socket of this person's server, which is started if it does not run.

        Refuses ``NOTEBOOKS`` where it cannot be, or as many run as may.
        """
        with self._door(person.name):
            if self._over.is_set():  # a browser that is left open comes back at once
                hint, zh = "come again when the service is back", "请待服务恢复后再试"
                raise refuse(Code.NOTEBOOKS, "the service is ending", hint, zh)
            room = self._running(person.name)
            if room is None:
                room = self._start(person, lang)
            return room.sockets.server

    def stop(self, person: Person) -> bool:
        """End this person's room; whether there was one."""
        with self._door(person.name):
            return self._close(person.name)

    def standing(self, person: Person) -> Standing:
        """What this person's room uses."""
        room = self._running(person.name)
        known = self._settings
        return Standing(None if room is None else room.figures(), known.memory_mb * _MB, known.disk_mb * _MB)

    def people(self) -> tuple[str, ...]:
        """Whose rooms run."""
        with self._lock:
            return tuple(sorted(name for name, room in self._rooms.items() if room.alive))

    def close(self) -> None:
        """End all of them, also those that just start; nobody is let in any more."""
        self._over.set()
        self._watcher.join()
        with self._lock:
            names = list(self._doors)
        for name in names:
            with self._door(name):
                self._close(name)

    def home(self, person: Person) -> Path:
        """The folder of this person's files."""
        return self._folder / hashlib.sha256(person.name.encode()).hexdigest()[:16]

    def _door(self, name: str) -> threading.Lock:
        with self._lock:
            return self._doors.setdefault(name, threading.Lock())

    def _running(self, name: str) -> Room | None:
        with self._lock:
            room = self._rooms.get(name)
        return room if room is not None and room.alive else None

    def _close(self, name: str) -> bool:
        with self._lock:
            room = self._rooms.pop(name, None)
        if room is None:
            return False
        room.close()
        self._told(self._people[name], "ended")
        return True

    def _start(self, person: Person, lang: str) -> Room:
        self._close(person.name)  # what is left of one that ended
        layers = found.available()
        if not layers >= NEEDED:
            hint = "the bureau looks at `sandbox doctor`: notebooks need bubblewrap and libseccomp"
            zh = "请主管部门查看 sandbox doctor：笔记本需要 bubblewrap 与 libseccomp"
            raise refuse(Code.NOTEBOOKS, "no box can be built here", hint, zh)
        with self._lock:
            running = sum(room.alive for room in self._rooms.values()) + len(self._starting)
            if running >= self._settings.most:
                hint, zh = "come again when somebody has ended theirs", "已达同时运行上限，请待他人结束后再试"
                raise refuse(Code.NOTEBOOKS, "as many run as may", hint, zh)
            self._starting.add(person.name)
        try:
            room = self._built(person, lang, layers)
            with self._lock:
                self._rooms[person.name], self._people[person.name] = room, person
        finally:
            with self._lock:
                self._starting.discard(person.name)
        self._told(person, "started")
        return room

    def _built(self, person: Person, lang: str, layers: frozenset[Layer]) -> Room:
        """A room that answers."""
        home = self._furnished(person, lang, Layer.USER in layers)
        owner = home.stat().st_uid if Layer.USER in layers else None
        sockets = Sockets(owner)
        limits = self._settings
        walls = Walls(
            layers,
            code=client(),
            address_space=4 * limits.memory_mb * _MB,
            home=home,
            owner=owner,
            file_size=limits.disk_mb * _MB,
            scratch_size=limits.scratch_mb * _MB,
        )
        room = Room(walls, sockets, self._line(person, sockets.gateway))
        try:
            room.begin(lang=lang, idle_s=60 * limits.idle_minutes, paths=paths(), patience_s=_PATIENCE_S)
        except Refusal:
            room.close()
            raise
        return room

    def _furnished(self, person: Person, lang: str, apart: bool) -> Path:
        """The home, made and owned on the first visit."""
        home = self.home(person)
        if home.is_dir():
            return home
        made = home.with_suffix(".new")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(mode=0o700, parents=True)
        if (examples := self._examples(lang)) is not None:
            shutil.copytree(examples, made / EXAMPLES[lang])
        if apart:
            owner = max([_FIRST_OWNER, *(h.stat().st_uid + 1 for h in self._folder.iterdir())])
            for above, _, files in os.walk(made):
                for path in (above, *(os.path.join(above, name) for name in files)):
                    os.chown(path, owner, owner)
        made.rename(home)
        return home

    def _watch(self) -> None:
        while not self._over.wait(GLANCE_S):
            with self._lock:
                rooms = dict(self._rooms)
            for name, room in rooms.items():
                try:
                    self._look(name, room)
                except Refusal as trouble:  # of the store, where it is entered; the room was seen to
                    WATCH.error("a room's end is not on record: %s", trouble.reasons[0].code.id)

    def _look(self, name: str, room: Room) -> None:
        if not room.alive or not self._known(name):
            with self._door(name):
                if self._rooms.get(name) is room:
                    self._close(name)
            return
        figures, most = room.figures(), self._settings
        taken = {"memory": figures.memory > most.memory_mb * _MB, "disk": figures.disk > most.disk_mb * _MB}
        if figures.kernels and (over := [what for what, beyond in taken.items() if beyond]):
            room.end_kernels()
            self._told(self._people[name], over[0])


def paths() -> tuple[str, ...]:
    """What a kernel imports from: installed packages and the client, not the gateway."""
    return (*box.libraries(), *client())
