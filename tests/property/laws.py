"""The neighbour law: one unit changes a bounded statement by no more than is accounted.

For random databases, queries and neighbours (all rows of one unit removed, in every table), with ``f`` the
exact, bounded statement that a release runs:

- additivity: ``f(D) - f(D without u) = f(u alone)``, group by group: a unit's rows move nobody else's;
- bound: the norm of ``f(u alone)`` over groups is at most the cap (L1 for Laplace, L2 for Gaussian);
- distinct values: ``u`` adds values and takes none away, no more than the cap in all groups together;
- presence: ``u`` counts 1 in at most ``groups`` groups of partition selection;
- norms: ``u`` stands in at most one bin of each measure's histogram;
- no statement ever fails: a plan and its refusals come from the text alone, before any data is seen.

Run as a command: ``python tests/property/laws.py 100000`` prints a report and, last, one line of JSON.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import duckdb

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from sandbox.catalogue import Kind  # noqa: E402
from sandbox.errors import Refusal  # noqa: E402
from sandbox.policy.documents import DpGuard  # noqa: E402
from sandbox.privacy.accounting import Measure  # noqa: E402
from sandbox.privacy.caps import Cap  # noqa: E402
from sandbox.privacy.faces import shown  # noqa: E402
from sandbox.privacy.plan import Plan, Priced, plan  # noqa: E402
from sandbox.privacy.protect import Bounds, protect  # noqa: E402
from sandbox.privacy.release import Key, Release, Selection, What  # noqa: E402
from sandbox.privacy.spend import spend  # noqa: E402
from sandbox.privacy.statements import tally_sql  # noqa: E402
from sandbox.privacy.tally import Tally, fine_bits, found_edges, tally  # noqa: E402
from sandbox.sql.compile import compile_relation  # noqa: E402
from sandbox.sql.expressions import Call, Col, Facts, Literal  # noqa: E402
from sandbox.sql.parse import parse  # noqa: E402
from sandbox.sql.relation import Released, walk  # noqa: E402
from sandbox.sql.resolve.query import resolve  # noqa: E402
from sandbox.sql.simplify import simplify  # noqa: E402
from tests.support.questions import Questions  # noqa: E402  (the command runs from anywhere)
from tests.support.worlds import CATALOGUE, NUMBERS, STRIDE, UNITS, VARIANTS, Row, Variant, Worlds  # noqa: E402

QUERIES_A_WORLD = 20
ALONE = 0.1  # share of queries whose statements also run, untouched, over two single databases
Answer = dict[Row, Row]
Vectors = dict[int, Answer]
"""By variant: group -> (units, if selected, then measures)."""


@dataclass(slots=True)
class Report:
    """What was tried and what failed."""

    cases: int = 0
    violations: list[str] = field(default_factory=list)
    forms: Counter[str] = field(default_factory=Counter)

    def add(self, other: Report) -> None:
        self.cases += other.cases
        self.violations += other.violations
        self.forms += other.forms


def guard_of(random: Random) -> DpGuard:
    delta = random.choice((Fraction(0), Fraction(1, 10**6)))
    return DpGuard(Fraction(1), Fraction(8), delta, random.choice((1, 2, 12)), 2)


def planned(text: str, guard: DpGuard) -> Plan:
    """The whole pure road from a text to a plan."""
    return plan(simplify(resolve(parse(text), CATALOGUE)), guard, Fraction(1))


class Trial:
    """One query over one set of worlds."""

    def __init__(self, worlds: Worlds, text: str, plan_: Plan, random: Random, report: Report) -> None:
        self.worlds, self.text, self.plan, self.random, self.report = worlds, text, plan_, random, report
        self.laplace = plan_.measure is Measure.PURE
        self.tables: dict[str, Any] = {}

    def run(self) -> None:
        below = {n for p in self.plan.priced for n in read_by(p.release)}
        alone = self.random.random() < ALONE or any(distinct(p.release) for p in self.plan.priced)
        pair = self._pair() if alone else ()
        for variant in pair:
            self.worlds.connection(variant)
        for priced in self.plan.priced:
            release = priced.release
            chosen = "+selection" if release.selection else "+listing" if release.listing else ""
            self.report.forms[f"{release.bounding}{chosen}"] += 1
            caps = tuple(self.random.choice(found_edges(m)) for m in release.measures)
            if distinct(release):
                self.report.forms["distinct"] += 1
                self._covering(release, caps, pair)
            else:
                self._together(release, caps)
                if pair:
                    self._alone(release, caps, pair)
            if release.number in below:
                table = shown(release.face, self._drawn(priced, caps), self.tables)
                self.tables[f"r{release.number}"] = table
                self.worlds.share(release.number, table)
        self.report.cases += UNITS * len({v.base for v in VARIANTS})

    def _pair(self) -> tuple[Variant, Variant, Variant]:
        base, unit = self.random.randrange(len(self.worlds.bases)), self.random.randrange(UNITS)
        return Variant(base), Variant(base, gone=unit), Variant(base, only=unit)

    def _tally(self, release: Release, variant: Variant | None = None) -> Tally:
        listing = None if release.listing is None else compile_relation(release.listing.relation)
        listed = None if listing is None else self.worlds.table(listing, variant)
        return tally(release, self.worlds.table(tally_sql(release, laplace=self.laplace), variant), listed)

    def _drawn(self, priced: Priced, caps: tuple[int, ...]) -> Any:
        limits = Bounds(tuple(Cap(cap) for cap in caps))
        return protect(priced, spend(priced, self.plan.measure), limits, self._tally(priced.release))

    def _together(self, release: Release, caps: tuple[int, ...]) -> None:
        whole = by_world(release)
        found = by_variant(self._tally(whole), caps)
        for own in VARIANTS:
            if own.only is not None:
                parts = (Variant(own.base), Variant(own.base, gone=own.only), own)
                self._additive(*(found[NUMBERS[v]] for v in parts))
                self._bounded(release, caps, found[NUMBERS[own]])
        if release.selection is not None:
            self._selected(release, by_variant(self._tally(chosen_by_world(release)), caps), found)

    def _selected(self, release: Release, chosen: Vectors, found: Vectors) -> None:
        """Selection shows the same measures, and counts a unit once in few groups."""
        assert release.selection is not None
        for number, answer in chosen.items():
            if any(v[1:] != found[number].get(g, v[:1])[1:] for g, v in answer.items()):
                self._fail("selection changes measures")
            if any(values[0] < 1 for values in answer.values()):
                self._fail("a group is drawn for in which no unit is counted")
            if VARIANTS[number].only is not None:
                counts = [values[0] for values in answer.values()]
                if any(n not in (0, 1) for n in counts) or sum(counts) > release.selection.groups:
                    self._fail(f"presence {counts} against {release.selection.groups} groups")

    def _covering(self, release: Release, caps: tuple[int, ...], parts: Sequence[Variant]) -> None:
        """A union of what units cover: in no group fewer for one unit more, and ``cap`` more in all."""
        (cap,), tallies = caps, [self._tally(release, v) for v in parts]
        full, without, own = (dict(keyed(t, caps)) for t in tallies)
        for one, other in ((full, without), (own, {})):
            more = [v[1] - other.get(g, (0, 0))[1] for g, v in one.items()]
            if one.keys() < other.keys() or min(more, default=0) < 0:
                self._fail(f"a unit takes distinct values away: {more}")
            if sum(more) > cap << fine_bits(release, cap):
                self._fail(f"a unit adds {more} distinct values, cap {cap}")
        if release.measures[0].search:
            self._histogram(0, [t.histograms[0] for t in tallies])

    def _alone(self, release: Release, caps: tuple[int, ...], parts: Sequence[Variant]) -> None:
        """The same, over single databases and statements that are untouched."""
        whole = all_shown(release) if release.selection is not None else release
        tallies = [self._tally(whole, v) for v in parts]
        answers = [dict(keyed(t, caps)) for t in tallies]
        self._additive(*answers)
        self._bounded(release, caps, answers[2])
        if release.selection is None and len({tuple(a) for a in answers}) > 1:
            self._fail("which groups are shown hangs on a unit")
        if release.selection is not None:
            chosen = [dict(keyed(self._tally(release, v), caps)) for v in parts]
            self._additive(*({g: n[:1] for g, n in a.items()} for a in chosen))
        for j, measure in enumerate(release.measures):
            if measure.search:
                self._histogram(j, [t.histograms[j] for t in tallies])

    def _histogram(self, j: int, found: Sequence[tuple[int, ...]]) -> None:
        full, without, own = found
        if sum(own) > 1 or min(own) < 0:
            self._fail(f"norm of measure {j} in {own}")
        if any(p - q != r for p, q, r in zip(full, without, own, strict=True)):
            self._fail("histograms do not add up")

    def _additive(self, full: Answer, without: Answer, own: Answer) -> None:
        """All units less one unit's answer is the answer without it: no group is moved by another's rows."""
        some = next((v for x in (full, without, own) for v in x.values()), ())
        zero = (0,) * len(some)
        for group in {*full, *without, *own}:
            a, b, c = (x.get(group, zero) for x in (full, without, own))
            if any(p - q != r for p, q, r in zip(a, b, c, strict=True)):
                self._fail(f"group {group}: {a} - {b} is not {c}")

    def _bounded(self, release: Release, caps: tuple[int, ...], own: Answer) -> None:
        """One unit's vector over groups is within the cap."""
        for j, cap in enumerate(caps):
            column, most = [v[1 + j] for v in own.values()], cap << fine_bits(release, cap)
            size = sum(map(abs, column)) if self.laplace else ceil_root(sum(v * v for v in column))
            if size > most:
                self._fail(f"measure {j}: norm {size} > cap {most}")

    def _fail(self, what: str) -> None:
        self.report.violations.append(f"{what}\n    {self.text}")


def distinct(release: Release) -> bool:
    """Whether the release counts distinct values."""
    return any(m.what is What.DISTINCT for m in release.measures)


def read_by(release: Release) -> Iterator[int]:
    """The releases that this one reads."""
    for relation in (release.input, *(() if release.listing is None else (release.listing.relation,))):
        yield from (n.number for n in walk(relation) if isinstance(n, Released))


def ceil_root(square: int) -> int:
    """The square root, rounded up."""
    return math.isqrt(max(square - 1, 0)) + (square > 0)


def chosen_by_world(release: Release) -> Release:
    """The release with the variant's number, a function of the unit, as one more key."""
    privacy = release.input.privacy
    assert privacy is not None
    number = Call("idiv", (Col(privacy.unit), Literal(STRIDE, Kind.INTEGER)))
    return replace(release, keys=(Key("", number, Facts(Kind.INTEGER, False), None), *release.keys))


def by_world(release: Release) -> Release:
    """The same, every group shown in which there is a unit."""
    return all_shown(chosen_by_world(release))


def all_shown(release: Release) -> Release:
    """The release with a selection that leaves no group out."""
    return replace(release, selection=Selection(10**6, 1))


def keyed(found: Tally, caps: Sequence[int]) -> Iterator[tuple[Row, Row]]:
    """Group, and its count of units (0 without selection) and bounded totals."""
    width = len(found.release.keys)
    groups = zip(*(found.keys.column(i).to_pylist() for i in range(width)), strict=True) if width else [()]
    totals = [found.totals(j, cap) for j, cap in enumerate(caps)]
    rows = zip(found.units.tolist(), *totals, strict=True)
    for group, values in zip(groups, rows, strict=True):
        yield tuple("nan" if isinstance(v, float) and math.isnan(v) else v for v in group), values


def by_variant(found: Tally, caps: Sequence[int]) -> Vectors:
    answers: Vectors = defaultdict(dict)
    for group, values in keyed(found, caps):
        answers[int(group[0])][group[1:]] = values
    return answers


Asker = Callable[[Random], str]


def any_query(random: Random) -> str:
    """A text of the whole grammar."""
    return Questions(random).query()


def check(seed: int, cases: int, most_violations: int = 10, ask: Asker = any_query) -> Report:
    """At least ``cases`` cases from one seed; stops early after some violations.

    (Or after as many queries, where most are refused.)
    """
    random, report = Random(seed), Report()
    asked = 0
    while report.cases < cases and asked < cases and len(report.violations) < most_violations:
        worlds = Worlds(random)
        for _ in range(QUERIES_A_WORLD):
            if report.cases >= cases or len(report.violations) >= most_violations:
                break
            asked += 1
            one(worlds, random, report, ask)
        worlds.close()
    return report


def one(worlds: Worlds, random: Random, report: Report, ask: Asker) -> None:
    """One random query, planned without data, then tried."""
    text, guard = ask(random), guard_of(random)
    try:
        made = planned(text, guard)
    except Refusal as refusal:
        report.forms[f"refused {refusal.reasons[0].code.name}"] += 1
        return
    try:
        Trial(worlds, text, made, random, report).run()
    except duckdb.Error as error:  # nothing that is in the data may stop a statement
        report.violations.append(f"{type(error).__name__}: {error}\n    {text}")


def main(cases: int) -> int:
    workers = min(os.cpu_count() or 1, 4)
    started, seed = time.monotonic(), Random().randrange(2**32)
    chunk = max(1000, min(20_000, cases // (4 * workers)))
    seeds = range(seed, seed + -(-cases // chunk))
    total = Report()
    with ProcessPoolExecutor(workers) as pool:
        for report in pool.map(check, seeds, [chunk] * len(seeds)):
            total.add(report)
    seconds = time.monotonic() - started
    print(f"neighbour law: {total.cases} cases, {seconds:.0f} s, seeds {seeds.start}..{seeds.stop - 1}")
    for form, count in total.forms.most_common():
        print(f"  {form:28} {count}")
    for violation in total.violations[:20]:
        print(f"VIOLATION {violation}")
    print(json.dumps({"cases": total.cases, "violations": len(total.violations)}))
    return 1 if total.violations else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
