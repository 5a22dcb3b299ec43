"""The wire between the gateway and its child processes: frames over a pair of pipes.

A frame is four bytes of length (big-endian), a JSON header of that length, and the bodies whose sizes
the header lists under ``bodies``.  Either side may die at any byte: a short frame is ``EOFError``, a
missed deadline ``TimeoutError``, a frame that announces more than its reader accepts ``TooLarge``.
"""

from __future__ import annotations

import json
import os
import select
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Body = bytes | bytearray | memoryview

_LENGTH = struct.Struct(">I")
_CHUNK = 1 << 20
_TOGETHER = 1 << 15


class TooLarge(ValueError):
    """A frame announces more bytes than its reader accepts."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: a JSON object and raw bodies (Arrow IPC streams)."""

    header: dict[str, Any]
    bodies: tuple[Body, ...] = ()


class Channel:
    """Frames over two file descriptors, which stay the caller's to close.

    With a deadline (``time.monotonic`` seconds) the descriptors must be non-blocking.
    """

    def __init__(self, reader: int, writer: int) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, frame: Frame, deadline: float | None = None) -> None:
        """Write a whole frame; ``BrokenPipeError`` if nobody reads it."""
        sizes = {**frame.header, "bodies": [len(body) for body in frame.bodies]}
        header = json.dumps(sizes).encode()
        head = _LENGTH.pack(len(header)) + header
        if sum(sizes["bodies"]) <= _TOGETHER:  # one write wakes the reader once
            self._write(head + b"".join(frame.bodies), deadline)
            return
        for part in (head, *frame.bodies):
            self._write(part, deadline)

    def receive(self, limit: int, deadline: float | None = None) -> Frame:
        """Read a whole frame whose header and bodies are each no longer than ``limit`` bytes."""
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, deadline))
        if length > limit:
            raise TooLarge("a header is longer than its reader accepts")
        header: dict[str, Any] = json.loads(self._read(length, deadline))
        sizes: Sequence[int] = header.pop("bodies")
        if any(size < 0 for size in sizes) or sum(sizes) > limit:
            raise TooLarge("bodies are longer than their reader accepts")
        return Frame(header, tuple(self._read(size, deadline) for size in sizes))

    def _write(self, data: Body, deadline: float | None) -> None:
        view = memoryview(data)
        while view:
            _wait(self._writer, select.POLLOUT, deadline)
            try:
                view = view[os.write(self._writer, view[:_CHUNK]) :]
            except BlockingIOError:
                continue  # less room than one write of PIPE_BUF needs: poll again

    def _read(self, size: int, deadline: float | None) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            _wait(self._reader, select.POLLIN, deadline)
            part = os.read(self._reader, min(len(view), _CHUNK))
            if not part:
                raise EOFError("the other side is gone")
            view[: len(part)] = part
            view = view[len(part) :]
        return data


def _wait(descriptor: int, event: int, deadline: float | None) -> None:
    """Return once the descriptor is ready or hung up; ``None`` leaves the wait to the blocking call."""
    if deadline is None:
        return
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError("the other side took too long")
