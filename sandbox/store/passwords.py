"""Local accounts: a password and a second factor, which nobody has one without the other.

Invariants:
- of a password its Argon2id derivation is kept (RFC 9106, the second recommended setting with one lane): 64
  bytes, of which half verifies and half seals the second factor's secret: the store alone gives neither;
- a code of the second factor (TOTP, RFC 6238) counts once, as does a recovery code;
- after ``TRIES`` wrong entries in a row an account takes none for ``LOCKED``, the right one included; each
  further wrong one locks it again.  What is counted and what is let in are decided in one transaction, so
  that many guesses at a time get no more tries than one after another;
- an unknown name, a locked account and a wrong entry each take one derivation, and get the same answer.
"""

from __future__ import annotations

import datetime as dt
import hmac
import secrets
import threading
import unicodedata
from base64 import b32encode
from dataclasses import asdict, dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from sandbox.errors import Code, refuse
from sandbox.model import Person
from sandbox.store.canonical import printable
from sandbox.store.credentials import digest, enabled, person_of
from sandbox.store.database import Database, micros, moment
from sandbox.store.schema import passwords, people, recovery_codes

TRIES: Final = 5
"""Wrong entries in a row after which an account is locked."""
LOCKED: Final = dt.timedelta(minutes=15)
"""For how long."""
SHORTEST: Final = 12
"""Characters of a password at least."""
LONGEST: Final = 256
"""At most."""
CODES: Final = 10
"""Recovery codes at a time."""
STEP: Final = 30
"""Seconds that a code of the second factor is for; the one before and the one after count too."""
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_MEMORY_KIB: Final = 64 * 1024
_PASSES: Final = 3

_turns = threading.BoundedSemaphore(2)
"""Derivations at a time: each takes 64 MiB."""


@dataclass(frozen=True, slots=True)
class Local:
    """A local account as it may be shown.  ``codes``: recovery codes left."""

    since: dt.datetime
    locked: dt.datetime | None
    codes: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """A password as it is kept, with the second factor's secret under it; ``step``: of the code shown."""

    salt: bytes
    verifier: bytes
    factor: bytes
    step: int


class Passwords:
    """Who may come in with a password and a code."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enter(self, name: str, password: str, code: str, now: dt.datetime) -> Person | None:
        """Who comes in by this name, password and code (or recovery code); ``None``: nobody, for now."""
        found = self._open(printable(name), password, code, now)
        return None if found is None else found[0]

    def reseal(self, person: Person, password: str, code: str, new: str, now: dt.datetime) -> Sealed | None:
        """A new password over the same second factor, to be ``put``; ``None`` where the present one or the
        code is wrong.  Refuses ``REQUEST`` a new one that is too easy."""
        _check(person, new)
        opened = self._open(person.name, password, code, now)
        return None if opened is None else _sealed(new, opened[1], 0)

    def put(self, person: Person, sealed: Sealed, now: dt.datetime) -> None:
        """Let ``person`` (known) come in by this from now on, in place of what was before."""
        mine = passwords.c.person == person.name
        with self._database.write() as connection:
            before = connection.execute(select(passwords.c.step).where(mine)).scalar() or 0
            kept = {**asdict(sealed), "step": max(before, sealed.step)}
            connection.execute(delete(passwords).where(mine))
            connection.execute(
                insert(passwords).values(person=person.name, since=micros(now), wrong=0, locked=0, **kept)
            )

    def renew(self, person: Person) -> tuple[str, ...]:
        """New recovery codes, of 80 bits, in place of those before; they are seen this once."""
        codes = tuple(b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(CODES))
        rows = [{"hash": digest(code), "person": person.name} for code in codes]
        with self._database.write() as connection:
            connection.execute(delete(recovery_codes).where(recovery_codes.c.person == person.name))
            connection.execute(insert(recovery_codes), rows)
        return tuple("-".join(code[i : i + 4] for i in range(0, 16, 4)) for code in codes)

    def local(self, name: str, now: dt.datetime) -> Local | None:
        """The local account of this name, if there is one."""
        name = printable(name)
        left = select(func.count()).where(recovery_codes.c.person == name, recovery_codes.c.used.is_(None))
        with self._database.read() as connection:
            row = connection.execute(select(passwords).where(passwords.c.person == name)).first()
            codes = connection.execute(left).scalar_one()
        if row is None:
            return None
        return Local(moment(row.since), moment(row.locked) if row.locked > micros(now) else None, codes)

    def unlock(self, name: str) -> bool:
        """Let somebody try again; False where there is no such account."""
        values = {"wrong": 0, "locked": 0}
        with self._database.write() as connection:
            done = connection.execute(update(passwords).where(passwords.c.person == name).values(values))
            return done.rowcount == 1

    def remove(self, name: str) -> bool:
        """Take password, second factor and recovery codes away; False where there were none."""
        with self._database.write() as connection:
            connection.execute(delete(recovery_codes).where(recovery_codes.c.person == name))
            return connection.execute(delete(passwords).where(passwords.c.person == name)).rowcount == 1

    def remove_all(self) -> int:
        """Take them from everybody; how many had some."""
        with self._database.write() as connection:
            connection.execute(delete(recovery_codes))
            return connection.execute(delete(passwords)).rowcount

    def _open(self, name: str, password: str, code: str, now: dt.datetime) -> tuple[Person, bytes] | None:
        """The person and their second factor's secret, if all is right and the account is not locked."""
        with self._database.read() as connection:
            kept = connection.execute(select(passwords).where(passwords.c.person == name)).first()
        factor = _unsealed(password, kept)  # takes its time for nobody, too
        if kept is None:
            return None
        with self._database.write() as connection:
            row = connection.execute(_whole(name)).first()
            if row is None or row.locked > micros(now):
                return None
            changed = row.verifier != kept.verifier  # meanwhile: what was right then is not now
            if factor is not None and not changed and _spent(connection, row, factor, code.strip(), now):
                return person_of(row), factor
            wrong = row.wrong + 1
            locked = micros(now + LOCKED) if wrong >= TRIES else 0
            values = {"wrong": wrong, "locked": locked}
            connection.execute(update(passwords).where(passwords.c.person == name).values(values))
        return None


def seal(person: Person, password: str, factor: bytes, code: str, now: dt.datetime) -> Sealed:
    """A password and a second factor, to be ``put``.

    Refuses ``REQUEST`` a password that is too easy, or a code that is not of this factor now: whoever cannot
    show one would be locked out.
    """
    _check(person, password)
    step = _step(factor, code.strip(), now)
    if step is None:
        hint = "enter the six digits that your authenticator shows now"
        raise refuse(Code.REQUEST, "the code", hint, "请输入验证器当前显示的六位数字")
    return _sealed(password, factor, step)


def uri(person: Person, factor: bytes) -> str:
    """What an authenticator reads from the picture: the second factor's secret and its label."""
    return _totp(factor).get_provisioning_uri(person.name, "Data Sandbox 数据沙箱")


def spelled(factor: bytes) -> str:
    """The same secret to be typed."""
    return b32encode(factor).decode()


def _whole(name: str) -> Any:
    both = select(passwords, people).join(people, people.c.name == passwords.c.person)
    return both.where(passwords.c.person == name, enabled())


def _spent(connection: Connection, row: Row[Any], factor: bytes, code: str, now: dt.datetime) -> bool:
    """Whether the code counts; it does not again."""
    mine = passwords.c.person == row.person
    step = _step(factor, code, now)
    if step is not None and step > row.step:
        connection.execute(update(passwords).where(mine).values(step=step, wrong=0, locked=0))
        return True
    unused = (recovery_codes.c.hash == digest(_plain(code)), recovery_codes.c.person == row.person)
    spend = update(recovery_codes).where(*unused, recovery_codes.c.used.is_(None)).values(used=micros(now))
    if connection.execute(spend).rowcount != 1:
        return False
    connection.execute(update(passwords).where(mine).values(wrong=0, locked=0))
    return True


def _plain(code: str) -> str:
    return code.replace("-", "").replace(" ", "").lower()


def _step(factor: bytes, code: str, now: dt.datetime) -> int | None:
    """The step that this code is of, among those that count now."""
    totp, given, here = _totp(factor), code.encode("utf-8", "replace"), int(now.timestamp()) // STEP
    steps = [s for s in (here - 1, here, here + 1) if hmac.compare_digest(totp.generate(s * STEP), given)]
    return max(steps, default=None)


def _totp(factor: bytes) -> TOTP:
    return TOTP(factor, 6, SHA1(), STEP)  # what authenticators speak; HMAC does not rest on collisions


def _sealed(password: str, factor: bytes, step: int) -> Sealed:
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    verifier, key = _derived(password, salt)
    return Sealed(salt, verifier, nonce + AESGCM(key).encrypt(nonce, factor, None), step)


def _unsealed(password: str, kept: Row[Any] | None) -> bytes | None:
    """The second factor's secret, if the password is the one that was kept."""
    verifier, key = _derived(password, b"\0" * _SALT_BYTES if kept is None else kept.salt)
    if kept is None or not hmac.compare_digest(verifier, kept.verifier):
        return None
    try:
        return AESGCM(key).decrypt(kept.factor[:_NONCE_BYTES], kept.factor[_NONCE_BYTES:], None)
    except InvalidTag:  # somebody wrote into the store
        return None


def _derived(password: str, salt: bytes) -> tuple[bytes, bytes]:
    """Verifier and key.  What looks alike is made the same first (NFKC, as NIST SP 800-63B asks)."""
    data = unicodedata.normalize("NFKC", password[:LONGEST]).encode("utf-8", "surrogatepass")
    made = Argon2id(salt=salt, length=2 * _KEY_BYTES, iterations=_PASSES, lanes=1, memory_cost=_MEMORY_KIB)
    with _turns:
        both = made.derive(data)
    return both[:_KEY_BYTES], both[_KEY_BYTES:]


def _check(person: Person, password: str) -> None:
    """Refuses ``REQUEST`` what is guessed first: the short, the monotonous, one's own name."""
    told = password.casefold()
    known = (word.casefold() for word in (person.name, person.organisation) if len(word) > 2)
    easy = len(set(told)) < 6 or any(word in told for word in known)
    if easy or not SHORTEST <= len(password) <= LONGEST or not password.isprintable():
        hint = f"{SHORTEST} to {LONGEST} printable characters, 6 of them different, without your name"
        zh = f"{SHORTEST} 至 {LONGEST} 个可打印字符，至少 6 个不同，且不含姓名与单位"
        raise refuse(Code.REQUEST, "the password", hint, zh)
