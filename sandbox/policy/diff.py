"""What a change of documents opens and closes, in sentences of both languages.

Comparing the facts of two sets of documents gives the sentences: an item gained opens, an item lost
closes; a value that moves up its rank opens, down closes, and without a rank merely changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sandbox.model import Words
from sandbox.policy.documents import Documents
from sandbox.policy.facts import Fact, document_facts

_OPENS: Final = Words("放开", "Opens")
_CLOSES: Final = Words("收紧", "Closes")
_CHANGES: Final = Words("变更", "Changes")
_GAINS: Final = Words("增加", "gains")
_LOSES: Final = Words("去掉", "loses")


def differences(old: Documents, new: Documents) -> tuple[Words, ...]:
    """One sentence for each thing that the change opens, closes or alters; none if nothing does.

    Order: what is gone or changed in the order of the old documents, then what is new.
    """
    before, after = _facts(old), _facts(new)
    keys = [*before, *(key for key in after if key not in before)]
    return tuple(sentence for key in keys for sentence in _compare(before.get(key), after.get(key)))


def _facts(documents: Documents) -> dict[tuple[str, str], Fact]:
    facts = document_facts(documents.datasets, documents.grants)
    return {(fact.subject.en, fact.label.en): fact for fact in facts}


def _compare(old: Fact | None, new: Fact | None) -> Iterator[Words]:
    """A value that comes or goes together with its subject needs no sentence of its own."""
    before, after = (old.items if old else ()), (new.items if new else ())
    if new is not None:
        yield from (_item(_OPENS, new, _GAINS, item) for item in after if item not in before)
    if old is not None:
        yield from (_item(_CLOSES, old, _LOSES, item) for item in before if item not in after)
    if old is not None and new is not None and old.text != new.text:
        yield _moved(old, new)


def _item(what: Words, fact: Fact, verb: Words, item: str) -> Words:
    return Words(
        f"{what.zh}：{fact.subject.zh}{verb.zh}{fact.label.zh} {item}。",
        f"{what.en}: {fact.subject.en} {verb.en} the {fact.label.en} {item}.",
    )


def _moved(old: Fact, new: Fact) -> Words:
    what = _CHANGES
    if old.rank is not None and new.rank is not None:
        what = _OPENS if new.rank > old.rank else _CLOSES
    return Words(
        f"{what.zh}：{new.subject.zh}的{new.label.zh}由 {old.text} 改为 {new.text}。",
        f"{what.en}: the {new.label.en} of {new.subject.en} goes from {old.text} to {new.text}.",
    )
