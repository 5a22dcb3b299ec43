"""Frames over real pipes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from sandbox.engine.frames import Channel, Frame, TooLarge


class Pipe:
    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.channel = Channel(self.reader, self.writer)

    def close_writer(self) -> None:
        os.close(self.writer)
        self.writer = -1


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    for descriptor in (pipe.reader, pipe.writer):
        if descriptor >= 0:
            os.close(descriptor)


def test_a_frame_comes_back_whole(pipe: Pipe) -> None:
    frame = Frame({"sql": "快照 \ud800", "n": [1]}, (b"", b"abc", bytes(range(256))))
    pipe.channel.send(frame)
    received = pipe.channel.receive(limit=10_000)
    assert received.header == frame.header
    assert [bytes(body) for body in received.bodies] == [bytes(body) for body in frame.bodies]


def test_bodies_far_larger_than_the_pipe(pipe: Pipe) -> None:
    body = os.urandom(3_000_000)
    os.set_blocking(pipe.reader, False)
    os.set_blocking(pipe.writer, False)
    deadline = time.monotonic() + 10
    sending = threading.Thread(target=pipe.channel.send, args=(Frame({}, (body,)), deadline))
    sending.start()
    received = pipe.channel.receive(len(body), deadline)
    sending.join()
    assert bytes(received.bodies[0]) == body


def test_a_frame_cut_short_is_the_end(pipe: Pipe) -> None:
    os.write(pipe.writer, b"\0\0\0\x20{")
    pipe.close_writer()
    with pytest.raises(EOFError):
        pipe.channel.receive(limit=100)


def test_a_deadline_ends_reading(pipe: Pipe) -> None:
    os.set_blocking(pipe.reader, False)
    os.write(pipe.writer, b"\0\0")
    with pytest.raises(TimeoutError):
        pipe.channel.receive(limit=100, deadline=time.monotonic() + 0.05)


def test_a_deadline_ends_writing(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    with pytest.raises(TimeoutError):
        pipe.channel.send(Frame({}, (bytes(1_000_000),)), deadline=time.monotonic() + 0.05)


def test_nothing_is_allocated_for_what_is_too_large(pipe: Pipe) -> None:
    os.write(pipe.writer, b"\xff\xff\xff\xff")
    with pytest.raises(TooLarge):
        pipe.channel.receive(limit=100)


@pytest.mark.parametrize("sizes", ["[99,2]", "[1000000000000]", "[-1]"])
def test_announced_bodies_are_bounded(pipe: Pipe, sizes: str) -> None:
    header = b'{"bodies":%s}' % sizes.encode()
    os.write(pipe.writer, len(header).to_bytes(4, "big") + header)
    with pytest.raises(TooLarge):
        pipe.channel.receive(limit=100)
