"""The tables of the store, the same for SQLite and PostgreSQL; `migrations` makes them, `fences` guards them.

Conventions: times are whole microseconds since 1970 UTC; amounts are whole ledger units (nano: 1e-9 of
rho or epsilon; atto: 1e-18 of delta); nothing is ever a float.  Names avoid SQL's reserved words.

After a change here, ``python -m tests.support.revision NAME`` writes the step that brings stores to it; as
long as nothing was released, ``... first`` writes the first step anew.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

ROW_ID = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit key; in SQLite only the word INTEGER makes it the row's own address."""

ledger_accounts = Table(
    "ledger_accounts",
    metadata,
    Column("account", String, primary_key=True),
    Column("measure", String, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("delta_spent", BigInteger, nullable=False),
    Column("approved_limit", BigInteger, nullable=False),
    Column("approved_delta_limit", BigInteger, nullable=False),
)
"""The approved limits are those in force: they sink with the policy's, and only a person raises them."""

reservations = Table(
    "reservations",
    metadata,
    Column("request", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("time", BigInteger, nullable=False),
    Index("reservations_by_state", "state", "time"),
)

reservation_charges = Table(
    "reservation_charges",
    metadata,
    Column("request", String, ForeignKey("reservations.request"), primary_key=True),
    Column("account", String, ForeignKey("ledger_accounts.account"), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("delta", BigInteger, nullable=False),
    Column("under_limit", BigInteger, nullable=False),
    Column("under_delta_limit", BigInteger, nullable=False),
)

uses = Table(
    "uses",
    metadata,
    Column("grant_id", String, primary_key=True),
    Column("day", String, primary_key=True),
    Column("used", BigInteger, nullable=False),
)

counted_requests = Table("counted_requests", metadata, Column("request", String, primary_key=True))
"""Requests that were counted against a quota: a retry is not counted again."""

answers = Table(
    "answers",
    metadata,
    Column("grant_id", String, primary_key=True),
    Column("snapshot", String, primary_key=True),
    Column("release_hash", String, primary_key=True),
    Column("nano", BigInteger, primary_key=True),
    Column("released", LargeBinary, nullable=False),
    Column("family", String, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Index("answers_by_time", "time"),
    Index("answers_by_family", "grant_id", "snapshot", "family", "nano"),
)

log_head = Table(
    "log_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False, server_default="0"),
)
"""One row: how many entries the log has, and the time of the last, which the next does not precede.

Its row lock puts the writers of all gateways in a line."""

log_identity = Table(
    "log_identity",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("origin", String, nullable=False),
    Column("hash", String, nullable=False),
)
"""At most one row: the log's name in its checkpoints, and the hash function that it was begun with."""

documents_in_force = Table(
    "documents_in_force",
    metadata,
    Column("document", String, primary_key=True),
    Column("hash", String, nullable=False),
)
"""The policy documents (``kind id``) last seen by any gateway: what differs is a change to be logged."""

audit = Table(
    "audit",
    metadata,
    Column("seq", ROW_ID, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("kind", String, nullable=False),
    Column("request", String, nullable=False),
    Column("organisation", String, nullable=False),
    Column("grant_id", String, nullable=False),
    Column("datasets", Text, nullable=False),
    Column("decision", String, nullable=False),
    Column("codes", Text, nullable=False),
    Column("nano", BigInteger, nullable=False),
    Column("commitment", String, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Index("audit_by_time", "time"),
    Index("audit_by_kind", "kind", "seq"),
    Index("audit_by_request", "request", "seq"),
    Index("audit_by_organisation", "organisation", "seq"),
    Index("audit_by_grant", "grant_id", "seq"),
    Index("audit_by_decision", "decision", "seq"),
    Index("audit_by_nano", "nano", "seq"),
)

audit_personal = Table(
    "audit_personal",
    metadata,
    Column("seq", ROW_ID, ForeignKey("audit.seq"), primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
    Column("person", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Index("audit_by_person", "person", "seq"),
)
"""What the log's hash only commits to: it may be lawfully deleted and the tree stays valid."""

audit_datasets = Table(
    "audit_datasets",
    metadata,
    Column("dataset", String, primary_key=True),
    Column("seq", ROW_ID, ForeignKey("audit.seq"), primary_key=True),
)

audit_codes = Table(
    "audit_codes",
    metadata,
    Column("code", String, primary_key=True),
    Column("seq", ROW_ID, ForeignKey("audit.seq"), primary_key=True),
)

cursors = Table(
    "cursors",
    metadata,
    Column("name", String, primary_key=True),
    Column("position", BigInteger, nullable=False),
)
"""How far each follower of the log has come: entries below ``position`` are done."""

alerts = Table(
    "alerts",
    metadata,
    Column("rule", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("newest", BigInteger, primary_key=True),
    Column("seq", ROW_ID, ForeignKey("audit.seq"), nullable=False),
)
"""The monitor's alerts: the newest entry that each rests on, and its own entry in the log."""

log_views = Table(
    "log_views",
    metadata,
    Column("owner", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("filters", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
)
"""Saved filters of the log (JSON); ``owner`` is a person, or empty where the bureau shares the view."""

people = Table(
    "people",
    metadata,
    Column("name", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("organisation", String, nullable=False),
    Column("disabled", BigInteger),
)

tokens = Table(
    "tokens",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("person", String, ForeignKey("people.name"), nullable=False),
    Column("label", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("issued", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("revoked", BigInteger),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("login", LargeBinary, nullable=False),
    Column("door", String, nullable=False),
    Column("person", String, ForeignKey("people.name"), nullable=False),
    Column("token", LargeBinary, ForeignKey("tokens.hash")),
    Column("begun", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Index("sessions_by_login", "login"),
    Index("sessions_by_person", "person"),
)
"""Sessions of browsers.  ``login``: the sign-in that they go back to; ``token``: what was shown, if any."""

passwords = Table(
    "passwords",
    metadata,
    Column("person", String, ForeignKey("people.name"), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("verifier", LargeBinary, nullable=False),
    Column("factor", LargeBinary, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("wrong", Integer, nullable=False),
    Column("locked", BigInteger, nullable=False),
)
"""Local accounts.  ``factor``: the second factor's secret, sealed under the password; ``step``: of the last
code used; ``wrong``: tries in a row; ``locked``: until when."""

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("person", String, ForeignKey("people.name"), nullable=False),
    Column("used", BigInteger),
    Index("recovery_codes_by_person", "person"),
)

identities = Table(
    "identities",
    metadata,
    Column("issuer", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("person", String, ForeignKey("people.name"), nullable=False),
    Column("linked", BigInteger, nullable=False),
    Index("identities_by_person", "person"),
)
"""Who a person is to an identity provider (OpenID Connect): its name for itself, and its name for them."""

freezes = Table(
    "freezes",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("scope", String, nullable=False),
    Column("target", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("frozen_by", String, nullable=False),
    Column("frozen_at", BigInteger, nullable=False),
    Column("approved_by", String),
    Column("approved_at", BigInteger),
    Column("lifted_by", String),
    Column("lifted_at", BigInteger),
)

cases = Table(
    "cases",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False),
    Column("document", String, nullable=False),
    Column("state", String, nullable=False),
    Column("author", String, nullable=False),
    Column("organisation", String, nullable=False),
    Column("owners", Text, nullable=False),
    Column("people", Integer, nullable=False),
    Column("until", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("hash", String, nullable=False),
    Column("time", BigInteger, nullable=False),
    Index("cases_by_state", "state", "kind"),
)
"""Cases, each with its text; ``owners`` (JSON), ``people`` and ``until`` are read from that."""

case_steps = Table(
    "case_steps",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("case_id", ROW_ID, ForeignKey("cases.id"), nullable=False),
    Column("verb", String, nullable=False),
    Column("person", String, nullable=False),
    Column("organisation", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("state", String, nullable=False),
    Column("note", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("seq", ROW_ID, ForeignKey("audit.seq"), nullable=False),
    Index("case_steps_by_case", "case_id", "id"),
)
"""Who did what with a case, when, over which text; each is an entry of the log."""
