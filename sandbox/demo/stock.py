"""What the demo needs before anybody can ask: sources, policy documents, snapshots."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sandbox.demo import flights, province
from sandbox.doors.ingesting import progress_bar, show_ingested
from sandbox.doors.terminal import Terminal
from sandbox.errors import Code, Refusal, refuse
from sandbox.home import Home
from sandbox.model import Words
from sandbox.policy.documents import Dataset
from sandbox.policy.load import load
from sandbox.snapshot import current, ingest

POLICIES: Final = Path(__file__).parents[2] / "policies"
"""The documents of the repository; an installed wheel carries none."""
DATASETS: Final = ("flights", "med", "power")


def stock(home: Home, residents: int, terminal: Terminal) -> None:
    """Copy the policies, write the sources and publish a snapshot of each dataset.

    A dataset whose snapshot in force already comes from the same document and size is left alone, so that
    telling the story again is free.  Refuses with ``SOURCE`` outside a checkout of the repository.
    """
    _copy_policies(home)
    documents = load([home.policies])
    wanted = [d for d in documents.datasets if d.id in DATASETS and not _stands(home, d, residents)]
    if not wanted:
        terminal.lines([Words("数据快照已在用，沿用。", "Snapshots are in force already and are kept.")])
        return
    for dataset, files in _sources(home, residents, wanted).items():
        with progress_bar(terminal) as progress:
            done = ingest(dataset, files, home.snapshots, now=dt.datetime.now(dt.UTC), progress=progress)
        show_ingested(terminal, done)
        terminal.line("")


def _copy_policies(home: Home) -> None:
    for name in DATASETS:
        folder = POLICIES / name
        if not folder.is_dir():
            hint = "run the demo from a clone of the repository"
            raise refuse(Code.SOURCE, f"policies of {name}", hint, "请在代码仓库内运行演示")
        shutil.copytree(folder, home.policies / name, dirs_exist_ok=True)


def _stands(home: Home, dataset: Dataset, residents: int) -> bool:
    """Whether the snapshot in force is what would be published again."""
    try:
        manifest = current(home.snapshots, dataset.id).manifest
    except Refusal:
        return False
    rows = {t.name: t.rows_in for t in manifest.tables}
    people = province.PLANTED["med.person"] + residents
    firms = province.PLANTED["power.enterprise"] + residents // province.RESIDENTS_PER_ENTERPRISE
    size = {"med": rows.get("person") == people, "power": rows.get("enterprise") == firms}
    return manifest.document == dataset.hash and size.get(dataset.id, True)


def _sources(home: Home, residents: int, wanted: list[Dataset]) -> Mapping[Dataset, Mapping[str, Path]]:
    """The written files of each dataset, by table."""
    written: dict[str, Path] = {}
    if any(d.id == "flights" for d in wanted):
        written |= flights.write(home.sources / "flights")
    if any(d.id != "flights" for d in wanted):
        written |= province.write(home.sources, residents)
    return {
        d: {key.split(".", 1)[1]: path for key, path in written.items() if key.startswith(f"{d.id}.")}
        for d in wanted
    }
