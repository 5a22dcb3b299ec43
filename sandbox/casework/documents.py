"""The documents in force: those of the policy folder, and those that were approved as cases.

Invariant: both are read together, as one set, so that no id stands twice and every rule between documents
holds over all of them; one mistake, and nothing is in force.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from sandbox.policy.documents import Documents
from sandbox.policy.load import Checked, Source, read, sources
from sandbox.policy.mistakes import At, refusal
from sandbox.policy.tree import Fields, Leaf, trees
from sandbox.policy.workflow.states import Kind
from sandbox.store.cases import Case, Cases


def in_force(folder: Path, cases: Cases) -> Documents:
    """The documents of the folder and the approved ones.

    Refuses ``DOCUMENT`` with every mistake, ``LOG_DAMAGED`` where a case is not what was approved.
    """
    checked = together(folder, cases.in_force())
    if checked.mistakes:
        raise refusal(checked.mistakes)
    return checked.documents


def together(folder: Path, cases: Iterable[Case], *more: Source) -> Checked:
    """The documents of the folder, of these cases and of these texts, with the mistakes as values."""
    filed = [replace(found, name=_below(folder, found.name)) for found in sources([folder])]
    written = [Source(name(case), case.text) for case in cases if case.kind is not Kind.INCIDENT]
    return read([*filed, *written, *more])


def name(case: Case) -> str:
    """A case as messages name it, in the place of a file."""
    return f"case-{case.id}"


def identity(text: str) -> tuple[str, str]:
    """Kind and id of the one document in a text; empty where there is not exactly one."""
    nodes = trees(text, At("case", mistakes=[]))
    if len(nodes) != 1 or not isinstance(nodes[0], Fields):
        return "", ""
    kind, id = nodes[0].get("kind"), nodes[0].get("id")
    return (kind.text if isinstance(kind, Leaf) else "", id.text if isinstance(id, Leaf) else "")


def _below(folder: Path, file: str) -> str:
    """A file's name without where the folder is: messages go to people who need not know."""
    return Path(file).relative_to(folder).as_posix()
