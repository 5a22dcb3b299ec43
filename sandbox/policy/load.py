"""Policy files to frozen documents, with every mistake of every file at once.

``read`` is pure and takes texts; ``load`` and ``sources`` are the only functions of this package that
touch the disk.  Nothing is returned from files with mistakes by ``load``: an error denies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from sandbox.errors import Code, refuse
from sandbox.policy.dataset_reader import read_dataset
from sandbox.policy.documents import Dataset, Documents, Grant, Product, SourceRule
from sandbox.policy.grant_reader import GrantRead, read_grant
from sandbox.policy.grant_rules import Known, check_grant
from sandbox.policy.mistakes import At, Mistake, nearest, refusal
from sandbox.policy.product_reader import read_product
from sandbox.policy.source_reader import read_source
from sandbox.policy.tree import LARGEST_FILE, Fields, Leaf, Node, trees

SUFFIXES: Final = (".yaml", ".yml")
QUERIES_SUFFIX: Final = ".queries.yaml"


class DocumentKind(StrEnum):
    """The kinds of document."""

    DATASET = "dataset"
    GRANT = "grant"
    SOURCE = "source"
    PRODUCT = "product"


@dataclass(frozen=True, slots=True)
class Source:
    """A file's name as messages show it, and its text (``None``: could not be read as UTF-8)."""

    name: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Checked:
    """What was read.  ``documents`` holds only documents without mistakes."""

    documents: Documents
    mistakes: tuple[Mistake, ...]


def load(paths: Iterable[str | Path]) -> Documents:
    """All documents of the given files and folders.

    Raises ``Refusal`` with one ``Code.DOCUMENT`` reason a mistake.
    """
    checked = check(paths)
    if checked.mistakes:
        raise refusal(checked.mistakes)
    return checked.documents


def check(paths: Iterable[str | Path]) -> Checked:
    """The same, with the mistakes as values beside the documents that have none."""
    return read(sources(paths))


def sources(paths: Iterable[str | Path]) -> tuple[Source, ...]:
    """The texts of files, and of the YAML files below folders (sorted, without ``*.queries.yaml``).

    Raises ``Refusal`` if a path does not exist.
    """
    return tuple(_source(file) for path in paths for file in _files(Path(path)))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = (f for f in path.rglob("*") if f.suffix in SUFFIXES and f.is_file())
        return sorted(f for f in found if not f.name.endswith(QUERIES_SUFFIX))
    if path.is_file():
        return [path]
    raise refuse(Code.DOCUMENT, str(path), "give a file or folder that exists", "请给出存在的文件或文件夹")


def _source(path: Path) -> Source:
    with path.open("rb") as file:
        data = file.read(4 * LARGEST_FILE + 1)
    try:
        return Source(str(path), data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return Source(str(path), None)


def read(texts: Iterable[Source], loaded: Iterable[Dataset] = ()) -> Checked:
    """The documents in these texts, checked alone and together, with all mistakes in file order.

    ``loaded``: datasets read before, which grants may name too; they come back among the documents.
    """
    reading = _Reading()
    reading.datasets.update((dataset.id, dataset) for dataset in loaded)
    for source in texts:
        reading.file(source)
    return reading.checked()


class _Reading:
    """The state of one reading: what has been found so far.  Lives for one call of ``read``."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self.datasets: dict[str, Dataset] = {}
        self.grants: list[tuple[GrantRead, bool]] = []
        self.sources: list[SourceRule] = []
        self.products: list[tuple[Product, At]] = []
        self.places: dict[tuple[str, str], str] = {}
        self.files: list[str] = []
        self.broken: set[str] = set()
        self.complete = True

    def file(self, source: Source) -> None:
        """Read one file's documents."""
        self.files.append(source.name)
        at = At(source.name, mistakes=self.mistakes)
        if source.text is None:
            at.wrong("bytes that are not UTF-8", "a UTF-8 file", "UTF-8 编码的文件")
            self.complete = False
            return
        before = len(self.mistakes)
        nodes = trees(source.text, at)
        if not nodes:
            self.complete = False
            if len(self.mistakes) == before:
                at.wrong("nothing", "at least one document", "至少一个文件内容")
        for node in nodes:
            self.document(node, at.on(node.line))

    def document(self, node: Node, at: At) -> None:
        """Read one document by its kind."""
        kind = node.get("kind") if isinstance(node, Fields) else None
        word = kind.text if isinstance(kind, Leaf) else ""
        if isinstance(node, Fields) and word == DocumentKind.DATASET:
            self.dataset(node, at)
        elif isinstance(node, Fields) and word == DocumentKind.GRANT:
            self.grant(node, at)
        elif isinstance(node, Fields) and word == DocumentKind.SOURCE:
            self.source(node, at)
        elif isinstance(node, Fields) and word == DocumentKind.PRODUCT:
            self.product(node, at)
        else:
            expected = nearest(word, list(DocumentKind))
            at.child("kind", kind.line if kind else at.line).wrong(
                word or "nothing", expected.en, expected.zh
            )

    def dataset(self, node: Fields, at: At) -> None:
        """Read a dataset document."""
        dataset = read_dataset(node, at)
        self.known_once(DocumentKind.DATASET, node, at)
        if dataset is not None:
            self.datasets.setdefault(dataset.id, dataset)
        else:
            self.broken.add(_id(node))

    def grant(self, node: Fields, at: At) -> None:
        """Read a grant document; it is checked against the datasets when all are read."""
        before = len(self.mistakes)
        read = read_grant(node, at)
        self.known_once(DocumentKind.GRANT, node, at)
        self.grants.append((read, len(self.mistakes) == before))

    def source(self, node: Fields, at: At) -> None:
        """Read a source document."""
        source = read_source(node, at)
        self.known_once(DocumentKind.SOURCE, node, at)
        if source is not None:
            self.sources.append(source)

    def product(self, node: Fields, at: At) -> None:
        """Read a product document; its grant is looked for when all are read."""
        product = read_product(node, at)
        self.known_once(DocumentKind.PRODUCT, node, at)
        if product is not None:
            self.products.append((product, at))

    def known_once(self, kind: DocumentKind, node: Fields, at: At) -> None:
        """An id stands once a kind; letters' case does not make another id."""
        key = (kind.value, _id(node).casefold())
        place = f"{at.file}:{at.line}"
        if key[1] and key in self.places:
            at.child("id", at.line).wrong(
                _id(node),
                f"an id of its own: {self.places[key]} has it",
                f"标识不得重复：{self.places[key]} 已使用",
            )
        self.places.setdefault(key, place)

    def checked(self) -> Checked:
        """Check the grants against all datasets, and sum up."""
        known = Known(self.datasets, frozenset(self.broken), self.complete)
        grants: list[Grant] = []
        for read, clean in self.grants:
            before = len(self.mistakes)
            check_grant(read, known)
            if clean and len(self.mistakes) == before:
                grants.append(read.rule)
        written = {read.rule.id for read, _ in self.grants}
        for product, at in self.products:
            if self.complete and product.grant not in written:
                at.child("grant", at.line).wrong(product.grant, "a grant that is written", "应为已有的授权")
        products = tuple(product for product, _ in self.products if product.grant in {g.id for g in grants})
        documents = Documents(tuple(self.datasets.values()), tuple(grants), tuple(self.sources), products)
        in_order = sorted(self.mistakes, key=lambda m: (self.files.index(m.file), m.line))
        return Checked(documents, tuple(in_order))


def _id(node: Fields) -> str:
    leaf = node.get("id")
    return leaf.text if isinstance(leaf, Leaf) else ""
