"""Local accounts: a password and a second factor, tries that come to an end, and what the store gives away."""

from __future__ import annotations

import datetime as dt
from base64 import b32decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import Row, select, update

from sandbox.errors import Code, Refusal
from sandbox.model import Person
from sandbox.store.accounts import Accounts
from sandbox.store.database import Database
from sandbox.store.passwords import LOCKED, STEP, TRIES, Passwords, Sealed, seal, spelled, uri
from sandbox.store.schema import passwords as table

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
ANN = Person("ann", "analyst", "晋数金科")
FACTOR = bytes(range(20))
WORDS = "correct horse battery"
SECOND = dt.timedelta(seconds=1)
LATER = NOW + 10 * STEP * SECOND


def code(at: dt.datetime, factor: bytes = FACTOR) -> str:
    """What an authenticator shows."""
    return TOTP(factor, 6, SHA1(), STEP).generate(int(at.timestamp())).decode()


@pytest.fixture
def accounts(database: Database) -> Accounts:
    found = Accounts(database)
    found.issue(ANN, "first", NOW)
    found.passwords.put(ANN, seal(ANN, WORDS, FACTOR, code(NOW), NOW), NOW)
    return found


@pytest.fixture
def passwords(accounts: Accounts) -> Passwords:
    return accounts.passwords


def test_password_and_code_together_open(passwords: Passwords) -> None:
    assert passwords.enter("ann", WORDS, code(LATER), LATER) == ANN
    assert passwords.enter("ann", WORDS + "!", code(LATER + STEP * SECOND), LATER) is None
    assert passwords.enter("ann", WORDS, "000000", LATER) is None
    assert passwords.enter("ann", WORDS, "", LATER) is None
    assert passwords.enter("bo", WORDS, code(LATER), LATER) is None
    for odd in ("\ud800", "\0"):
        assert (
            passwords.enter(odd, odd, odd, LATER) is None
            and passwords.enter("ann", WORDS, odd, LATER) is None
        )


def test_a_code_counts_once_also_the_one_shown_at_first(passwords: Passwords) -> None:
    assert passwords.enter("ann", WORDS, code(NOW), NOW) is None
    shown = code(LATER)
    assert passwords.enter("ann", WORDS, f" {shown} ", LATER) == ANN
    assert passwords.enter("ann", WORDS, shown, LATER) is None
    before, after = (code(LATER + n * STEP * SECOND) for n in (-1, 1))
    assert passwords.enter("ann", WORDS, before, LATER) is None  # older than one that was used
    assert passwords.enter("ann", WORDS, after, LATER) == ANN  # a clock that runs fast
    assert passwords.enter("ann", WORDS, code(LATER + 2 * STEP * SECOND), LATER) is None


def test_a_code_opens_once_however_many_show_it_at_a_time(passwords: Passwords) -> None:
    with ThreadPoolExecutor(4) as crowd:
        came = list(crowd.map(lambda _: passwords.enter("ann", WORDS, code(LATER), LATER), range(4)))
    assert came.count(ANN) == 1


def test_a_recovery_code_stands_for_a_code_once(passwords: Passwords) -> None:
    first, *others = passwords.renew(ANN)
    assert len({first, *others}) == 10 and all(len(c) == 19 for c in others)
    assert passwords.enter("ann", WORDS, first, NOW) == ANN
    assert passwords.enter("ann", WORDS, first, NOW) is None
    assert passwords.enter("ann", WORDS, others[0].upper().replace("-", " "), NOW) == ANN
    local = passwords.local("ann", NOW)
    assert local is not None and (local.codes, local.locked, local.since) == (8, None, NOW)
    passwords.renew(ANN)
    assert passwords.enter("ann", WORDS, others[1], NOW) is None


def test_after_so_many_wrong_ones_the_right_one_is_refused_for_a_while(passwords: Passwords) -> None:
    with ThreadPoolExecutor(3) as crowd:
        assert not any(crowd.map(lambda _: passwords.enter("ann", "wrong", "1", LATER), range(TRIES + 3)))
    local = passwords.local("ann", LATER)
    assert local is not None and local.locked == LATER + LOCKED
    assert passwords.enter("ann", WORDS, code(LATER), LATER) is None
    over = LATER + LOCKED
    local = passwords.local("ann", over)
    assert local is not None and local.locked is None
    assert passwords.enter("ann", "wrong", "1", over) is None
    local = passwords.local("ann", over)
    assert local is not None and local.locked == over + LOCKED
    assert passwords.unlock("ann") and not passwords.unlock("bo")
    assert passwords.enter("ann", WORDS, code(over), over) == ANN
    for _ in range(TRIES - 1):  # what was right set the count back
        assert passwords.enter("ann", "wrong", "1", over) is None
    assert passwords.enter("ann", WORDS, code(over + STEP * SECOND), over + STEP * SECOND) == ANN


def test_a_recovery_code_sets_the_count_back_too(passwords: Passwords) -> None:
    codes = passwords.renew(ANN)
    for used in codes[:2]:
        for _ in range(TRIES - 1):
            passwords.enter("ann", "wrong", "1", NOW)
        assert passwords.enter("ann", WORDS, used, NOW) == ANN


def test_a_new_password_keeps_the_second_factor_and_the_codes_used(passwords: Passwords) -> None:
    new = "another horse entirely"
    assert passwords.reseal(ANN, "wrong", code(LATER), new, LATER) is None
    sealed = passwords.reseal(ANN, WORDS, code(LATER), new, LATER)
    assert sealed is not None
    passwords.put(ANN, sealed, LATER)
    assert passwords.enter("ann", new, code(LATER), LATER) is None
    soon = LATER + STEP * SECOND
    assert passwords.enter("ann", WORDS, code(soon), soon) is None
    assert passwords.enter("ann", new, code(soon), soon) == ANN


@pytest.mark.parametrize(
    "easy",
    ["", "short", "x" * 40, "abcabcabcabcabcabc", "my name is Ann 2026", "晋数金科的密码是一二三四五六",
     "a tab\tin the middle", "y" * 120 + "correct horse battery staple" * 10],
)  # fmt: skip
def test_what_is_guessed_first_is_no_password(passwords: Passwords, easy: str) -> None:
    with pytest.raises(Refusal) as caught:
        seal(ANN, easy, FACTOR, code(NOW), NOW)
    assert caught.value.code is Code.REQUEST
    with pytest.raises(Refusal):
        passwords.reseal(ANN, WORDS, code(LATER), easy, LATER)
    assert passwords.enter("ann", WORDS, code(LATER), LATER) == ANN  # the code was not spent


def test_who_cannot_show_a_code_gets_no_password() -> None:
    for wrong in ("", "12345", "000000", "水", code(NOW - 5 * STEP * SECOND)):
        with pytest.raises(Refusal) as caught:
            seal(ANN, WORDS, FACTOR, wrong, NOW)
        assert caught.value.code is Code.REQUEST


def test_letters_that_look_alike_are_the_same(passwords: Passwords) -> None:
    passwords.put(ANN, seal(ANN, "ﬁne café horses", FACTOR, code(NOW), NOW), NOW)
    assert passwords.enter("ann", "fine cafe\u0301 horses", code(LATER), LATER) == ANN


def test_the_store_gives_neither_password_nor_second_factor(
    passwords: Passwords, database: Database, path: Path
) -> None:
    codes = passwords.renew(ANN)
    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())
    for secret in (WORDS.encode(), FACTOR, spelled(FACTOR).encode(), codes[0].replace("-", "").encode()):
        assert secret not in stored
    with database.read() as connection:
        row = connection.execute(select(table)).one()
    known = Argon2id(salt=row.salt, length=64, iterations=3, lanes=1, memory_cost=65536)
    assert known.derive(WORDS.encode())[:32] == row.verifier  # as RFC 9106 has it, so that others can check


def test_a_second_factor_that_somebody_wrote_over_opens_nothing(
    passwords: Passwords, database: Database
) -> None:
    with database.write() as connection:
        connection.execute(update(table).values(factor=bytes(60)))
    assert passwords.enter("ann", WORDS, code(LATER, bytes(20)), LATER) is None


def test_what_is_right_for_a_password_that_just_changed_is_wrong(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox.store import passwords as module

    unsealed, other = module._unsealed, seal(ANN, "another horse entirely", FACTOR, code(NOW), NOW)

    def slowly(password: str, kept: Row[Any] | None) -> bytes | None:
        found = unsealed(password, kept)
        passwords.put(ANN, other, NOW)
        return found

    monkeypatch.setattr(module, "_unsealed", slowly)
    assert passwords.enter("ann", WORDS, code(LATER), LATER) is None


def test_an_account_that_is_removed_meanwhile_is_nobody(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox.store import passwords as module

    unsealed = module._unsealed

    def slowly(password: str, kept: Row[Any] | None) -> bytes | None:
        passwords.remove("ann")
        return unsealed(password, kept)

    monkeypatch.setattr(module, "_unsealed", slowly)
    assert passwords.enter("ann", WORDS, code(LATER), LATER) is None


def test_who_is_disabled_comes_in_no_more(accounts: Accounts) -> None:
    accounts.disable("ann", NOW)
    assert accounts.passwords.enter("ann", WORDS, code(LATER), LATER) is None
    accounts.enable("ann")
    assert accounts.passwords.enter("ann", WORDS, code(LATER), LATER) == ANN


def test_what_is_taken_away_is_gone(accounts: Accounts) -> None:
    passwords = accounts.passwords
    recovery = passwords.renew(ANN)
    assert accounts.person("ann", NOW) == ANN
    assert passwords.remove("ann") and not passwords.remove("ann")
    assert passwords.local("ann", NOW) is None
    assert passwords.enter("ann", WORDS, recovery[0], NOW) is None
    passwords.put(ANN, Sealed(b"s" * 16, b"v" * 32, b"f" * 48, 0), NOW)
    assert passwords.remove_all() == 1 and passwords.remove_all() == 0


def test_an_authenticator_reads_the_secret_and_whose_it_is() -> None:
    found = urlsplit(uri(ANN, FACTOR))
    told = parse_qs(found.query)
    assert (found.scheme, found.netloc) == ("otpauth", "totp") and unquote(found.path).endswith(":ann")
    assert b32decode(told["secret"][0]) == FACTOR == b32decode(spelled(FACTOR))
    assert (told["digits"], told["period"]) == (["6"], [str(STEP)])
