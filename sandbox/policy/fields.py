"""Records and mappings of policy documents, made of ``parts``.

A ``Record`` has a closed list of ``Field``s, a ``MapOf`` free keys.  What was read of a record is
``Values``: typed by field, with the place of each, so that later rules can point at what they refuse.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from sandbox.model import Words
from sandbox.policy.mistakes import At, nearest
from sandbox.policy.parts import Part, Schema, Text, portable, shown
from sandbox.policy.tree import Fields, Node

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A value with the place where it stands; ``None`` if it could not be read (then already noted)."""

    at: At = dataclasses.field(compare=False)
    value: T | None


@dataclass(frozen=True, slots=True)
class MapOf(Generic[T]):
    """A mapping of free keys that match ``key``; not empty.  ``what`` names the keys in messages."""

    key: str
    what: Words
    part: Part[T]

    def read(self, node: Node, at: At) -> Mapping[str, Entry[T]] | None:
        if not isinstance(node, Fields) or not node.fields:
            at.wrong(shown(node), f"a mapping of {self.what.en}", f"以{self.what.zh}为键的映射")
            return None
        found: dict[str, Entry[T]] = {}
        folded: set[str] = set()
        for name, value in node.fields:
            place = at.child(name.text, name.line)
            if Text(self.key, self.what, longest=200).read(name, place) is None:
                continue
            if name.text.casefold() in folded:
                place.wrong(name.text, "names that differ by more than case", "名称不能只有大小写不同")
            folded.add(name.text.casefold())
            found[name.text] = Entry(place, self.part.read(value, place.on(value.line)))
        return found

    def schema(self) -> Schema:
        keys = {"pattern": f"^{portable(self.key)}$"}
        values = self.part.schema()
        return {"type": "object", "minProperties": 1, "propertyNames": keys, "additionalProperties": values}


@dataclass(frozen=True, slots=True)
class Placed(Generic[T]):
    """A value of ``part`` together with its place."""

    part: Part[T]

    def read(self, node: Node, at: At) -> Entry[T] | None:
        return Entry(at, self.part.read(node, at))

    def schema(self) -> Schema:
        return self.part.schema()


@dataclass(frozen=True, slots=True)
class Field(Generic[T]):
    """One key of a record: name, value, what it means in both languages, whether it must stand."""

    name: str
    part: Part[T]
    words: Words
    required: bool = False


@dataclass(frozen=True, slots=True)
class Values:
    """What was read of a record.  A value that is absent or wrong reads as ``None``."""

    place: At
    read: Mapping[str, object]
    places: Mapping[str, At]

    def get(self, field: Field[T]) -> T | None:
        """The value of this field, or ``None`` if it is absent or wrong (then already noted)."""
        return cast("T | None", self.read.get(field.name))

    def written(self, field: Field[Any]) -> bool:
        """Whether the key stands in the document, right or wrong."""
        return field.name in self.places

    def at(self, field: Field[Any]) -> At:
        """Where the key's value stands; the record itself if it is absent."""
        return self.places.get(field.name) or self.place.child(field.name, self.place.line)


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with a closed list of keys."""

    fields: tuple[Field[Any], ...]

    def read(self, node: Node, at: At) -> Values | None:
        if isinstance(node, Fields):
            return self.values(node, at)
        at.wrong(shown(node), f"a mapping of {self._names()}", f"包含 {self._names()} 的映射")
        return None

    def values(self, node: Fields, at: At) -> Values:
        """The fields of a node that is known to be a mapping."""
        known = {field.name: field for field in self.fields}
        read: dict[str, object] = {}
        places: dict[str, At] = {}
        for key, value in node.fields:
            place = at.child(key.text, key.line)
            if key.text not in known:
                expected = nearest(key.text, known)
                place.wrong("an unknown key", expected.en, expected.zh)
                continue
            places[key.text] = place.on(value.line)
            read[key.text] = known[key.text].part.read(value, places[key.text])
        for field in self.fields:
            if field.required and field.name not in places:
                at.child(field.name, at.line).wrong("nothing", field.words.en, field.words.zh)
        return Values(at, read, places)

    def _names(self) -> str:
        return ", ".join(field.name for field in self.fields)

    def schema(self) -> Schema:
        return {
            "type": "object",
            "properties": {
                f.name: {"description": f"{f.words.en} / {f.words.zh}", **f.part.schema()}
                for f in self.fields
            },
            "required": [f.name for f in self.fields if f.required],
            "additionalProperties": False,
        }
