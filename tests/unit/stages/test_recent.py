"""What is remembered, what is forgotten, and that the room is never exceeded."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from sandbox.recent import Recent


def test_the_value_used_least_lately_is_forgotten_first() -> None:
    memory: Recent[str, int] = Recent(3)
    assert [memory.put(key, value) for key, value in (("a", 1), ("b", 2), ("c", 3))] == [(), (), ()]
    assert memory.get("a") == 1
    assert memory.put("d", 4) == (2,)
    assert [memory.get(key) for key in "abcd"] == [1, None, 3, 4]


def test_weights_count_and_what_is_too_heavy_drives_nothing_out() -> None:
    memory: Recent[str, str] = Recent(10)
    memory.put("a", "light", 4)
    memory.put("b", "heavy", 6)
    assert memory.put("c", "too heavy", 11) == ("too heavy",)
    assert memory.get("a") == "light" and memory.get("c") is None
    assert memory.put("a", "heavier", 5) == ("light", "heavy")
    assert memory.get("a") == "heavier"
    assert memory.put("a", "too heavy", 11) == ("heavier", "too heavy")
    assert memory.get("a") is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 8))))
def test_the_room_is_never_exceeded(puts: list[tuple[int, int]]) -> None:
    memory: Recent[int, tuple[int, int]] = Recent(12)
    for number, (key, weight) in enumerate(puts):
        memory.put(key, (number, weight), weight)
        kept = [value for k in range(6) if (value := memory.get(k)) is not None]
        assert sum(weight for _, weight in kept) <= 12
        assert memory.get(key) == (number, weight)


def test_threads_share_it() -> None:
    memory: Recent[int, int] = Recent(50)
    wrong: list[object] = []

    def work(start: int) -> None:
        for number in range(2000):
            key = (start * 7 + number) % 100
            memory.put(key, key)
            if memory.get(key) not in (key, None):
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(memory.get(key) is not None for key in range(100)) == 50
