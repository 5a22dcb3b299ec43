"""The notebooks that a new home begins with run from the first cell to the last, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from sandbox.doors.notebook_service import NotebookService, examples
from sandbox.model import Person
from tests.notebooks.house import AIR, PEOPLE, POWER, House
from tests.notebooks.lab import Lab

NAMES = {"zh": "示例", "en": "examples"}


def cells(path: Path) -> list[str]:
    """The code of a notebook."""
    book = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(book)
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("grant", [AIR, POWER])
def test_examples_run(house: House, service: NotebookService, lang: str, grant: str) -> None:
    folder = examples(lang)
    assert folder is not None and len(list(folder.glob("*.ipynb"))) == 4
    person = Person(f"student-{lang}-{grant}", "analyst", PEOPLE[grant].organisation)
    lab = Lab(house, service, person, lang)
    listed = lab.http.get(f"/api/contents/{NAMES[lang]}").json()["content"]
    assert {entry["name"] for entry in listed} == {path.name for path in folder.glob("*.ipynb")}
    refused: list[tuple[str, str]] = []
    for path in sorted(folder.glob("*.ipynb")):
        code = cells(path)
        if not any(grant in source for source in code):
            continue
        kernel = lab.kernel()
        for source in code:
            found = lab.run(kernel, source)
            assert found["error"] == "", (path.name, source, found)
            codes = re.findall(r"DS-\d+", " ".join(shown.get("text/html", "") for shown in found["shown"]))
            refused += [(source, code) for code in codes]
        assert lab.delete(f"/api/kernels/{kernel}").status_code == 204
    assert len(dict(refused)) == 1, refused  # each grant's examples show one refusal, and only one
    service.rooms.stop(person)
    lab.close()
