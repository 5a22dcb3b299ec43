"""Group commit: parts of one transaction, written by several threads, that become durable by one flush.

Threads take turns: each writes its part, within a savepoint, into the transaction that is open.  Who leaves
and sees nobody waiting commits it for all; until then those who are done wait.

Invariants:
- one thread at a time touches the connection: whoever made ``_busy`` true;
- a part that ends in an exception is undone alone, and no other notices;
- ``part`` returns normally only when a commit that holds the part has returned;
- where the commit fails, or the transaction was lost beneath a part, every thread whose part was in it is
  told so (``NotDurable``);
- an open transaction has someone about to close it: a thread at work, or one that waits for its turn.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

MOST: Final = 64
"""Parts in one transaction: what a thread waits for has an end, and so has another process's wait."""


class NotDurable(Exception):
    """What was written is not known to be on disk; the cause tells why."""


class _Batch:
    """One transaction.  ``parts`` are done and wait; ``failure`` is set where it is lost."""

    def __init__(self, engine: Engine, lock: threading.Lock) -> None:
        self.over = threading.Condition(lock)
        self.parts = 0
        self.ended = False
        self.failure: BaseException | None = None
        self.connection = engine.connect()
        try:
            self._transaction = self.connection.begin()
        except BaseException:
            self.connection.close()
            raise

    @contextmanager
    def part(self) -> Iterator[None]:
        """A savepoint around a part.  Where it cannot be ended, the transaction is lost beneath it."""
        with self._loss():
            self.connection.exec_driver_sql("SAVEPOINT part")
        try:
            yield
        except BaseException:
            with suppress(SQLAlchemyError), self._loss():  # the part's own error is the one to tell
                self.connection.exec_driver_sql("ROLLBACK TO SAVEPOINT part")
                self.connection.exec_driver_sql("RELEASE SAVEPOINT part")
            raise
        with self._loss():
            self.connection.exec_driver_sql("RELEASE SAVEPOINT part")

    def end(self) -> None:
        """Commit; or, where it is lost or that fails, roll back, and keep why in ``failure``."""
        with suppress(SQLAlchemyError), self._loss():
            if self.failure is None:
                self._transaction.commit()
        with suppress(SQLAlchemyError):
            self._transaction.close()  # rolls back what was not committed
            self.connection.close()

    @contextmanager
    def _loss(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.failure = error
            raise


class Group:
    """The one line of a process's writers.  ``engine`` begins its transactions as writing ones."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)
        self._waiting = 0
        self._busy = False
        self._batch: _Batch | None = None

    @contextmanager
    def part(self) -> Iterator[Connection]:
        """Write a part.  Leaving normally waits until it is on disk; an exception undoes it alone."""
        self._enter()
        try:
            batch = self._batch = self._batch or _Batch(self._engine, self._lock)
            with batch.part():
                yield batch.connection
        except BaseException:
            self._leave()
            raise
        self._leave(batch)
        with self._lock:
            batch.over.wait_for(lambda: batch.ended)
        if batch.failure is not None:
            raise NotDurable from batch.failure

    def _enter(self) -> None:
        """Wait until nobody is at work.  Who is interrupted meanwhile may have been the one to close."""
        came = False
        try:
            with self._lock:
                self._waiting += 1
                try:
                    self._turn.wait_for(lambda: not self._busy)
                finally:
                    self._waiting -= 1
                    came, self._busy = not self._busy, True
        except BaseException:
            if came:
                self._leave()
            raise

    def _leave(self, joined: _Batch | None = None) -> None:
        """Let the next one go on; if there is none, or no room for it, close the transaction."""
        with self._lock:
            batch = self._batch
            if joined is not None:
                joined.parts += 1
            if batch is None or (self._waiting and batch.parts < MOST and batch.failure is None):
                self._free()
                return
        batch.end()
        with self._lock:
            batch.ended = True
            batch.over.notify_all()
            self._batch = None
            self._free()

    def _free(self) -> None:
        self._busy = False
        self._turn.notify()
