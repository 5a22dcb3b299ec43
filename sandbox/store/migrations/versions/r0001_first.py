"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sandbox.store import fences

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, the one row of the log's head, and the fences."""
    op.create_table(
        "answers",
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.Column("release_hash", sa.String(), nullable=False),
        sa.Column("nano", sa.BigInteger(), nullable=False),
        sa.Column("released", sa.LargeBinary(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("grant_id", "snapshot", "release_hash", "nano"),
    )
    op.create_index("answers_by_family", "answers", ["grant_id", "snapshot", "family", "nano"], unique=False)
    op.create_index("answers_by_time", "answers", ["time"], unique=False)
    op.create_table(
        "audit",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("datasets", sa.Text(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("codes", sa.Text(), nullable=False),
        sa.Column("nano", sa.BigInteger(), nullable=False),
        sa.Column("commitment", sa.String(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("audit_by_decision", "audit", ["decision", "seq"], unique=False)
    op.create_index("audit_by_grant", "audit", ["grant_id", "seq"], unique=False)
    op.create_index("audit_by_kind", "audit", ["kind", "seq"], unique=False)
    op.create_index("audit_by_nano", "audit", ["nano", "seq"], unique=False)
    op.create_index("audit_by_organisation", "audit", ["organisation", "seq"], unique=False)
    op.create_index("audit_by_request", "audit", ["request", "seq"], unique=False)
    op.create_index("audit_by_time", "audit", ["time"], unique=False)
    op.create_table(
        "cases",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("owners", sa.Text(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("until", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("cases_by_state", "cases", ["state", "kind"], unique=False)
    op.create_table(
        "counted_requests",
        sa.Column("request", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("request"),
    )
    op.create_table(
        "cursors",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "documents_in_force",
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("document"),
    )
    op.create_table(
        "freezes",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("frozen_by", sa.String(), nullable=False),
        sa.Column("frozen_at", sa.BigInteger(), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "ledger_accounts",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("measure", sa.String(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("delta_spent", sa.BigInteger(), nullable=False),
        sa.Column("approved_limit", sa.BigInteger(), nullable=False),
        sa.Column("approved_delta_limit", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account"),
    )
    op.create_table(
        "log_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "log_identity",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "log_views",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("filters", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "name"),
    )
    op.create_table(
        "people",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("disabled", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "reservations",
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request"),
    )
    op.create_index("reservations_by_state", "reservations", ["state", "time"], unique=False)
    op.create_table(
        "uses",
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("grant_id", "day"),
    )
    op.create_table(
        "alerts",
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["seq"],
            ["audit.seq"],
        ),
        sa.PrimaryKeyConstraint("rule", "subject", "newest"),
    )
    op.create_table(
        "audit_codes",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["seq"],
            ["audit.seq"],
        ),
        sa.PrimaryKeyConstraint("code", "seq"),
    )
    op.create_table(
        "audit_datasets",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["seq"],
            ["audit.seq"],
        ),
        sa.PrimaryKeyConstraint("dataset", "seq"),
    )
    op.create_table(
        "audit_personal",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["seq"],
            ["audit.seq"],
        ),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("audit_by_person", "audit_personal", ["person", "seq"], unique=False)
    op.create_table(
        "case_steps",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id"],
            ["cases.id"],
        ),
        sa.ForeignKeyConstraint(
            ["seq"],
            ["audit.seq"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("case_steps_by_case", "case_steps", ["case_id", "id"], unique=False)
    op.create_table(
        "identities",
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("linked", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"],
            ["people.name"],
        ),
        sa.PrimaryKeyConstraint("issuer", "subject"),
    )
    op.create_index("identities_by_person", "identities", ["person"], unique=False)
    op.create_table(
        "passwords",
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(), nullable=False),
        sa.Column("factor", sa.LargeBinary(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.Column("locked", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"],
            ["people.name"],
        ),
        sa.PrimaryKeyConstraint("person"),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person"],
            ["people.name"],
        ),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("recovery_codes_by_person", "recovery_codes", ["person"], unique=False)
    op.create_table(
        "reservation_charges",
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("delta", sa.BigInteger(), nullable=False),
        sa.Column("under_limit", sa.BigInteger(), nullable=False),
        sa.Column("under_delta_limit", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"],
            ["ledger_accounts.account"],
        ),
        sa.ForeignKeyConstraint(
            ["request"],
            ["reservations.request"],
        ),
        sa.PrimaryKeyConstraint("request", "account"),
    )
    op.create_table(
        "tokens",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("issued", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person"],
            ["people.name"],
        ),
        sa.PrimaryKeyConstraint("hash"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "sessions",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("login", sa.LargeBinary(), nullable=False),
        sa.Column("door", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=True),
        sa.Column("begun", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person"],
            ["people.name"],
        ),
        sa.ForeignKeyConstraint(
            ["token"],
            ["tokens.hash"],
        ),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("sessions_by_login", "sessions", ["login"], unique=False)
    op.create_index("sessions_by_person", "sessions", ["person"], unique=False)
    op.execute("INSERT INTO log_head (id, size) VALUES (0, 0)")
    for statement in fences.statements(op.get_bind().dialect.name):
        op.execute(statement)
