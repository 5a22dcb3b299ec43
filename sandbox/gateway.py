"""The gateway: everything a door may ask for, over one home directory.

Holds one ``Context`` per grant, built from the policy documents and snapshots in force and rebuilt
when either changes, so that a new grant or snapshot is seen by the next query without a restart.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path

from sandbox import __version__, pipeline
from sandbox.admission import Admission, Stoppable, Turn
from sandbox.casework.desk import CaseDesk
from sandbox.casework.documents import in_force as in_force_now
from sandbox.casework.month import month as month_of
from sandbox.casework.people import People
from sandbox.casework.products import Products
from sandbox.casework.register import register
from sandbox.casework.supervision import Report, supervision
from sandbox.catalogue import Catalogue, Column, Table
from sandbox.context import Context, Store
from sandbox.engine import found
from sandbox.engine.crew import Crew
from sandbox.engine.duckdb_engine import DuckDBEngine
from sandbox.engine.layers import Floor, meets
from sandbox.engine.twin import Twin
from sandbox.errors import Code, Reason, Refusal, refuse
from sandbox.home import Home, Worker
from sandbox.model import Answer, Balance, Explained, Person, Refused, Request
from sandbox.monitor.run import Monitor
from sandbox.policy.documents import Dataset, Documents, DpGuard, Grant
from sandbox.policy.effective import effective
from sandbox.policy.floor import budget_in_force, guard_in_force
from sandbox.policy.roles import Action, check, may
from sandbox.policy.verified import verified
from sandbox.policy.visible import owned, sees, visible
from sandbox.privacy.exact import CUBE
from sandbox.snapshot.published import Snapshot, current
from sandbox.snapshot.sealing import MasterKey, read_key
from sandbox.stages.balances import balances, raise_limit
from sandbox.stages.record import proved_refusal
from sandbox.store import in_force
from sandbox.store.accounts import Accounts
from sandbox.store.answers import Answers
from sandbox.store.audit import AuditLog, Event
from sandbox.store.cases import Cases
from sandbox.store.database import Database
from sandbox.store.freezes import Drill, Freeze, Freezes, Scope, rehearsed
from sandbox.store.ledger import Ledger
from sandbox.store.log.caretaker import Caretaker
from sandbox.store.log.desk import Desk, Retention
from sandbox.store.log.transparency import TransparencyLog
from sandbox.store.log.witness import Witness
from sandbox.store.logbook import Logbook
from sandbox.store.search import LogFilter, LogSearch, Page

FOLLOWED = 5000
"""Entries that are taken into the log's indexes by one write."""


@dataclass(frozen=True, slots=True)
class GrantView:
    """One grant as its holder sees it."""

    grant: Grant
    catalogue: Catalogue
    snapshots: tuple[tuple[str, str], ...]


def open_gateway(home: Home) -> Gateway:
    """The gateway over a home directory."""
    return Gateway(home)


def utc_now() -> dt.datetime:
    """The clock of the gateway."""
    return dt.datetime.now(dt.UTC)


class Gateway:
    """See the module.  Thread-safe; refusals of ``query`` and ``explain`` are values, others raised."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.database = Database(home.store)
        audit = AuditLog(self.database)
        self.store = Store(
            self.database,
            Ledger(self.database),
            Answers(self.database),
            audit,
            LogSearch(self.database),
            TransparencyLog(self.database, audit, home.log),
            Freezes(self.database),
        )
        self.accounts = Accounts(self.database)
        self.people = People(self.database, self.accounts, audit, utc_now)
        self._cases = Cases(self.database, audit)
        self.casework = CaseDesk(self.database, self._cases, home.policies, utc_now)
        self.products = Products(self.database, audit, self.documents, self.query, utc_now)
        self.logbook = Logbook(self.database, audit, utc_now)
        self._monitor = Monitor(self.database)
        witness = Witness(self.store.proofs, home.witnesses)
        self._desk = Desk(
            self.database,
            audit,
            self.store.answers,
            self.store.proofs,
            witness=witness,
            kept=Retention(**asdict(home.settings.retention)),
            now=utc_now,
        )
        if self.store.proofs.repaired:
            self._desk.started(__version__)
        self._caretaker = Caretaker(self._desk, witness, home.settings.witness.every_s, utc_now)
        self._key: MasterKey | None = None
        self._admission = Admission(home.settings.queue)
        self._lines: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._twin = Twin()
        self._crew = Crew(home.settings.worker.total_mb)
        self._contexts: dict[str, tuple[str, Context, DuckDBEngine]] = {}
        self._documents: tuple[str, Documents] | None = None

    def query(self, request: Request) -> Answer | Refused:
        """Answer, charge and log, or refuse with every reason; in its turn."""
        try:
            self.confinement()
            context = self._context(request.person, request.grant)
            with self._admission.turn(request) as turn:
                return pipeline.query(request, self._stoppable(context, turn))
        except Refusal as refusal:
            return self._unheard(request, refusal)

    def confinement(self) -> tuple[str, ...]:
        """The layers in force around every worker.  Refuses ``UNCONFINED`` below the floor that is set."""
        layers, floor = found.available(), Floor(self.home.floor)
        if not meets(layers, floor):
            hint = "see `sandbox doctor`, or set worker.floor lower in sandbox.toml"
            zh = "请执行 sandbox doctor，或在 sandbox.toml 中调低 worker.floor"
            raise refuse(Code.UNCONFINED, f"worker.floor = {floor}", hint, zh)
        return tuple(sorted(layers))

    @property
    def desk(self) -> Desk:
        """The audit log's proofs, and what is entered about who came."""
        return self._desk

    def cancel(self, person: Person) -> int:
        """Stop every query of this person's that runs or waits; how many there were."""
        reason = Reason(Code.CANCELLED, "by the one who asked")
        stopped = self._admission.stop(lambda asked: asked.person == person, reason)
        self._event(Event.CANCEL, person, f"{stopped}")
        return stopped

    def ready(self) -> None:
        """Refuses UNCONFINED, CLOSING, STORE, LOG_KEY or LOG_DAMAGED where no query could be answered."""
        self.confinement()
        self._admission.open()
        place = self.home.store
        if isinstance(place, Path) and not place.exists():  # one that is open could still be read
            raise refuse(Code.STORE, "its file is gone")
        self.store.proofs.checkpoint()

    def load(self) -> tuple[int, int]:
        """How many queries run, and how many wait."""
        return self._admission.load()

    def drain(self) -> None:
        """Admit no more queries: those that wait are told to come back, those that run may end."""
        self._admission.drain()

    def explain(self, request: Request) -> Explained | Refused:
        """Say what ``query`` would cost and how good it would be; spend nothing."""
        try:
            self.confinement()
            context = self._context(request.person, request.grant, reading=True)
        except Refusal as refusal:
            return self._unheard(request, refusal)
        return pipeline.explain(request, context)

    def catalog(self, person: Person) -> tuple[GrantView, ...]:
        """The grants of this person's organisation, or on its data; every grant for the bureau."""
        views = []
        for grant in visible(self.documents(), person).grants:
            context = self._context(person, grant.id, reading=True, missing=True)
            pairs = tuple(tuple(part.split("@", 1)) for part in context.snapshot.split() if "@" in part)
            views.append(GrantView(grant, context.catalogue, tuple((a, b) for a, b in pairs)))
        return tuple(views)

    def budget(self, person: Person) -> tuple[Balance, ...]:
        """The accounts that this person may see: their grants'; an owner's datasets; all for the bureau."""
        documents = self.documents()
        seen = {g.id for g in visible(documents, person).grants} | owned(documents, person)
        if may(person, Action.ALL_ENTRIES):
            seen |= {d.id for d in documents.datasets}
        return balances(self.store.ledger, documents, seen)

    def approve(self, person: Person, account: str) -> Balance:
        """Put the raised total of an account in force, logged.  The bureau's alone."""
        check(person, Action.RAISE_BUDGET)
        documents = self.documents()
        with self.database.write():
            before, after = raise_limit(self.store.ledger, documents, account)
            held = self.store.ledger.balance(account)
            assert held is not None
            change = {"from": before.limit, "to": after.limit, "delta_to": str(held.delta_limit)}
            self.store.audit.append(
                Event.APPROVAL,
                time=utc_now(),
                person=person.name,
                organisation=person.organisation,
                decision="approved",
                payload={"account": account, "measure": after.measure, **change},
            )
        return after

    def log(self, person: Person, filter: LogFilter) -> Page:
        """Entries of the audit log: all for the bureau, their organisation's for others."""
        return self.logbook.page(person, filter)

    def monitor(self, person: Person) -> tuple[int, ...]:
        """Judge what is new in the log; the alerts' entries.  The bureau's alone."""
        check(person, Action.ALERTS)
        return self._monitor.run(utc_now())

    def follow(self) -> None:
        """Judge what is new in the log, take it into the indexes, end what is over: the service's round."""
        self._monitor.run(utc_now())
        self.casework.expire()
        while self.store.search.follow(FOLLOWED) == FOLLOWED:
            pass

    def course(self, person: Person, account: str) -> tuple[tuple[dt.datetime, int], ...]:
        """What was charged to an account that this person may see, and when, oldest first."""
        if all(seen.account != account for seen in self.budget(person)):
            raise refuse(Code.NOT_FOUND, f"account {account[:80]!a}")
        return self.store.ledger.course(account)

    def asked_of(self, person: Person, dataset: str, limit: int = 20) -> Page:
        """What was asked of a dataset last, and what left: for its owner and the bureau."""
        found = self.documents().dataset(dataset)
        mine = may(person, Action.HOLDINGS) and found is not None and found.owner == person.organisation
        if not mine and not may(person, Action.ALL_ENTRIES):
            raise refuse(Code.NOT_FOUND, f"dataset {dataset[:80]!a}")
        return self.logbook.of_dataset(person, dataset, limit)

    def register(self) -> tuple[dict[str, str], ...]:
        """The public register of grants and products, from the log alone."""
        return register(self.database)

    def supervision(self, person: Person, operator: str, month: str) -> Report:
        """An operator's month, from the log alone: for the bureau, and for the operator itself.

        Refuses ``REQUEST`` for what is no month, ``NOT_FOUND`` for another's report.
        """
        check(person, Action.SUPERVISION)
        if not may(person, Action.ALL_ENTRIES) and person.organisation != operator:
            raise refuse(Code.NOT_FOUND, f"the report on {operator[:80]!a}")
        wanted = month_of(month)
        self.logbook.note(person, {"report": wanted.name, "operator": operator})
        return supervision(self.database, operator, wanted)

    def freezes(self, person: Person) -> tuple[Freeze, ...]:
        """Every freeze ever made, oldest first.  The bureau's alone."""
        check(person, Action.FREEZES)
        return self.store.freezes.history()

    def freeze(self, person: Person, scope: Scope, target: str, reason: str) -> Freeze:
        """Stop queries at once.  The bureau's alone.  Refuses ``NOT_FOUND`` a target that there is not."""
        check(person, Action.FREEZE)
        self._known(scope, target)
        with self.database.write():
            frozen = self.store.freezes.freeze(scope, target, reason, person.name, utc_now())
            self._frozen(Event.FREEZE, person, frozen, "frozen")
        self.watch()
        return frozen

    def drill(self, person: Person, scope: Scope, target: str, reason: str) -> Drill:
        """Say what a freeze would stop, on record, and stop nothing.  The bureau's alone."""
        check(person, Action.FREEZE)
        self._known(scope, target)
        meant = rehearsed(scope, target, reason, person.name, utc_now())
        documents = self.documents()
        hit = {g.id for g in documents.grants if meant.stops(g.id, _datasets_of(g), g.to)}
        running = sum(turn.request.grant in hit for turn in self._admission.turns())
        found = Drill(meant, tuple(sorted(hit)), running)
        self._frozen(Event.FREEZE, person, meant, "drill", grants=list(found.grants), running=running)
        return found

    def watch(self) -> None:
        """Stop every query that a freeze in force forbids, or whose asker may come in no more.

        Whoever froze or disabled, by whichever process.
        """
        turns = self._admission.turns()
        out = {entry.person.name for entry in self.accounts.entries() if entry.disabled} if turns else ()
        for turn in turns:
            if turn.request.person.name in out:
                turn.stop(Reason(Code.WHO))
                continue
            context = self._contexts[turn.request.grant][1]
            organisation = turn.request.person.organisation
            frozen = self.store.freezes.frozen(turn.request.grant, context.datasets, organisation)
            if frozen is not None:
                turn.stop(Reason(Code.FROZEN, frozen.subject))

    def lift(self, person: Person, id: int) -> Freeze:
        """Approve the lifting of a freeze or, as a second person, complete it.  The bureau's alone."""
        check(person, Action.FREEZE)
        with self.database.write():
            lifted = self.store.freezes.lift(id, person.name, utc_now())
            done = "approved" if lifted.lifted_by is None else "lifted"
            self._frozen(Event.LIFT, person, lifted, done)
        return lifted

    def documents(self) -> Documents:
        """The policy documents in force; refuses DOCUMENT if any is not valid: deny on error."""
        key = f"{self._cases.mark()}|{_stamp(self.home.policies.rglob('*.yaml'))}"
        with self._lock:
            if self._documents is None or self._documents[0] != key:
                self._documents = (key, self._load())
                self._note_documents(self._documents[1])
            return self._documents[1]

    def _load(self) -> Documents:
        """The documents; who asks a question learns that they are broken, not where their files are."""
        try:
            return in_force_now(self.home.policies, self._cases)
        except Refusal as refusal:
            if refusal.code is not Code.DOCUMENT:
                raise
            hint = "ask the bureau to run `sandbox policy check`"
            zh = "请主管部门执行 sandbox policy check"
            raise refuse(Code.DOCUMENT, "the documents in force", hint, zh) from None

    def _note_documents(self, found: Documents) -> None:
        """Every change of a document in force is an entry of the log, before anything is asked under it."""
        hashes = {f"dataset {d.id}": d.hash for d in found.datasets}
        hashes |= {f"grant {g.id}": g.hash for g in found.grants}
        hashes |= {f"product {p.id}": p.hash for p in found.products}
        in_force.note(self.database, self.store.audit, hashes, utc_now())

    def close(self, grace_s: float = 0.0) -> None:
        """Let running queries end within ``grace_s`` seconds, end the workers, and close the store."""
        self._admission.close(grace_s)
        for _, _, engine in self._contexts.values():
            engine.close()
        self._crew.close()
        self._twin.close()
        self._caretaker.stop()
        with suppress(Refusal):  # what cannot be published now is when the log is next opened
            self.store.proofs.publish()
        self.database.close()

    def _master(self, snapshots: tuple[Snapshot, ...]) -> MasterKey | None:
        """The key of this home, asked for when a snapshot first needs it."""
        if self._key is None and any(s.manifest.seal for s in snapshots):
            self._key = read_key(self.home.settings.encryption.key, self.home.path)
        return self._key

    def _spill(self) -> Path:
        """Where workers may write what does not fit into memory; private, like all of the home."""
        self.home.spill.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.home.spill

    def _event(self, kind: Event, person: Person, text: str) -> None:
        self.store.audit.append(
            kind, time=utc_now(), person=person.name, organisation=person.organisation, text=text
        )

    def _known(self, scope: Scope, target: str) -> None:
        """Refuses a target that is mistyped.  Where the documents cannot be read, any may be frozen."""
        try:
            documents = self.documents()
        except Refusal:
            return
        known: dict[Scope, set[str]] = {
            Scope.EVERYTHING: {""},
            Scope.DATASET: {d.id for d in documents.datasets},
            Scope.GRANT: {g.id for g in documents.grants},
            Scope.OPERATOR: {g.to for g in documents.grants},
        }
        if target not in known[scope]:
            raise refuse(Code.NOT_FOUND, f"{scope.value} {target[:80]!a}")

    def _frozen(self, kind: Event, person: Person, freeze: Freeze, decision: str, **more: object) -> None:
        """A freeze, a drill or a lifting, on record; such entries stay whole."""
        self.store.audit.append(
            kind,
            time=utc_now(),
            person=person.name,
            organisation=person.organisation,
            grant=freeze.target if freeze.scope is Scope.GRANT else "",
            datasets=[freeze.target] if freeze.scope is Scope.DATASET else (),
            decision=decision,
            text=freeze.subject,
            payload={**freeze.facts, **more},
        )

    def _stoppable(self, context: Context, turn: Turn) -> Context:
        """The context for one turn, whose engine can be stopped under it."""
        engine = context.engine
        assert isinstance(engine, DuckDBEngine)
        with self._lock:
            line = self._lines.setdefault(context.grant.id, threading.Lock())
        return replace(context, engine=Stoppable(engine, line, turn, engine.cancel))

    def _unheard(self, request: Request, refusal: Refusal) -> Refused:
        """A refusal before any grant's context exists is logged as well."""
        seq = self.store.audit.append(
            Event.REFUSAL,
            time=utc_now(),
            request=request.id,
            person=request.person.name,
            organisation=request.person.organisation,
            grant=request.grant,
            decision="refused",
            codes=[r.code.id for r in refusal.reasons],
            text=request.sql,
        )
        return proved_refusal(Refused(request.id, refusal.reasons), seq, self.store.proofs)

    def _context(
        self, person: Person, grant_id: str, *, reading: bool = False, missing: bool = False
    ) -> Context:
        check(person, Action.EXPLAIN if reading else Action.ASK)
        documents = self.documents()
        grant = next((g for g in documents.grants if g.id == grant_id), None)
        allowed = grant is not None and (
            sees(documents, person, grant) if reading else grant.to == person.organisation
        )
        if grant is None or not allowed:
            raise refuse(Code.GRANT_UNKNOWN, grant_id[:80])
        ids = _datasets_of(grant)
        datasets = tuple(d for d in documents.datasets if d.id in ids)
        snapshots = self._snapshots(ids, missing=missing)
        if not missing:
            _check_verified(datasets, snapshots)
        key = " ".join([grant.hash, *(d.hash for d in datasets), *(f"{s.dataset}@{s.id}" for s in snapshots)])
        with self._lock:
            known = self._contexts.get(grant_id)
            if known is None or known[0] != key:
                built = self._build(grant, datasets, snapshots)
                if known is not None:
                    known[2].close()
                self._contexts[grant_id] = known = (key, *built)
            return known[1]

    def _snapshots(self, ids: tuple[str, ...], *, missing: bool) -> tuple[Snapshot, ...]:
        found = []
        for dataset in ids:
            try:
                found.append(current(self.home.snapshots, dataset))
            except Refusal:
                if not missing:
                    raise
        return tuple(found)

    def _build(
        self, grant: Grant, datasets: tuple[Dataset, ...], snapshots: tuple[Snapshot, ...]
    ) -> tuple[Context, DuckDBEngine]:
        facts = {table: known for s in snapshots for table, known in s.facts().items()}
        catalogue = stored_kinds(effective(grant, datasets, facts), snapshots)
        worker = self.home.settings.worker
        exact = not isinstance(grant.guard, DpGuard)
        sources = _sources(catalogue, snapshots, exact=exact)
        keys = _keys(sources, snapshots, self._master(snapshots))
        engine = DuckDBEngine(
            sources,
            keys=keys,
            held=_held(sources, snapshots, worker) if exact else (),
            memory_mb=worker.memory_mb,
            threads=worker.threads,
            timeout_s=worker.timeout_s,
            spill=None if keys else self._spill(),  # the engine cannot encrypt what it spills
            spill_mb=worker.spill_mb,
            queries=worker.queries,
            crew=self._crew,
        )
        context = Context(
            grant=grant,
            guard=guard_in_force(grant, datasets),
            catalogue=catalogue,
            datasets=tuple(d.id for d in datasets),
            budgets=tuple((d.id, budget_in_force(d)) for d in datasets),
            snapshot=" ".join(f"{s.dataset}@{s.id}" for s in snapshots),
            engine=engine,
            twin=self._twin,
            store=self.store,
            now=utc_now,
            clock_ms=0 if exact else self.home.settings.release_clock_ms,
        )
        return context, engine


def _datasets_of(grant: Grant) -> tuple[str, ...]:
    return tuple(dict.fromkeys(table.split(".", 1)[0] for table, _ in grant.data))


def _check_verified(datasets: tuple[Dataset, ...], snapshots: tuple[Snapshot, ...]) -> None:
    """Refuses SNAPSHOT_OUTDATED where a document was edited in what privacy takes as verified."""
    stored = {s.dataset: s.manifest.verified for s in snapshots}
    for dataset in datasets:
        if stored[dataset.id] != verified(dataset):
            raise refuse(Code.SNAPSHOT_OUTDATED, dataset.id)


def _stamp(paths: Iterable[Path]) -> str:
    """Changes whenever a document does."""
    return "|".join(f"{p}:{p.stat().st_mtime_ns}:{p.stat().st_size}" for p in sorted(paths))


def stored_kinds(catalogue: Catalogue, snapshots: tuple[Snapshot, ...]) -> Catalogue:
    """The catalogue with kinds as stored: unit identifiers (and keys to them) are dense integers."""
    by_id = {s.dataset: s for s in snapshots}

    def column(table: Table, known: Column) -> Column:
        snapshot = by_id.get(table.dataset)
        facts = None if snapshot is None else snapshot.manifest.table(table.name)
        stored = next((c for c in facts.columns if c.name == known.name), None) if facts is not None else None
        return known if stored is None else replace(known, kind=stored.kind)

    tables = tuple(replace(t, columns=tuple(column(t, c) for c in t.columns)) for t in catalogue.tables)
    return replace(catalogue, tables=tables, index={})


def _sources(
    catalogue: Catalogue, snapshots: tuple[Snapshot, ...], *, exact: bool
) -> dict[str, tuple[Path, ...]]:
    """The files that this grant's worker may read, by table; cubes as ``table#cube``.

    Under an exact grant the worker sees cubes and public tables only: no row is within its reach.
    """
    by_id = {s.dataset: s for s in snapshots}
    sources: dict[str, tuple[Path, ...]] = {}
    for table in catalogue.tables:
        snapshot = by_id.get(table.dataset)
        if snapshot is None:
            continue
        cube = snapshot.cube(table.name)
        if exact and cube is not None:
            sources[table.id + CUBE] = (cube,)
        if table.public or not exact:
            sources[table.id] = snapshot.files(table.name)
    return sources


def _keys(
    sources: Iterable[str], snapshots: tuple[Snapshot, ...], master: MasterKey | None
) -> dict[str, bytes]:
    """The keys of the encrypted ones among these sources, and of nothing else.

    Refuses with ``Code.SNAPSHOT_SEALED`` where the home's key is not theirs.
    """
    sealing = {s.dataset: s.sealing(master) for s in snapshots}
    keys: dict[str, bytes] = {}
    for source in sources:
        dataset, _, name = source.partition(".")
        cube, found = name.removesuffix(CUBE), sealing[dataset]
        key = found.table(name) if cube == name else found.cube(cube)
        if key is not None:
            keys[source] = key
    return keys


def _held(
    sources: dict[str, tuple[Path, ...]], snapshots: tuple[Snapshot, ...], worker: Worker
) -> tuple[str, ...]:
    """The sources that a worker keeps in memory: the smallest first, together an eighth of what it has.

    Parquet is taken to hold a tenth of what it becomes.  Where that is wrong the worker's own limit holds.
    """
    bytes_of = {s.directory / file.path: file.bytes for s in snapshots for file in s.manifest.files}
    sizes = {source: 10 * sum(bytes_of[file] for file in files) for source, files in sources.items()}
    order = sorted(sizes, key=sizes.__getitem__)
    totals = accumulate(sizes[source] for source in order)
    room = (worker.memory_mb << 20) // 8
    return tuple(source for source, total in zip(order, totals, strict=True) if total <= room)
