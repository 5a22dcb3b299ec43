"""Signed notes against published examples; checkpoints; keys in files."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from sandbox.errors import Code, Refusal
from sandbox.store.log import checkpoint, note
from sandbox.store.log.checkpoint import Checkpoint
from sandbox.store.log.files import put
from sandbox.store.log.keys import Keys
from sandbox.store.log.note import NoteError, PublicKey, Signer

# The example of Go's golang.org/x/mod/sumdb/note, which C2SP signed-note specifies.
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = (
    f"{TEXT}\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
PETER = PublicKey.parse(VKEY)


def test_the_published_example() -> None:
    signer = Signer.parse(SKEY)
    assert signer.text == SKEY
    assert signer.public == PETER
    assert PETER.text == VKEY
    assert signer.sign(TEXT) == NOTE
    assert note.opened(NOTE, [PETER]) == TEXT


def test_signatures_of_strangers_are_ignored_and_wrong_ones_are_not() -> None:
    stranger = Signer.make("PeterNeumann")
    both = NOTE + stranger.sign(TEXT).rpartition("\n\n")[2]
    assert note.opened(both, [PETER]) == TEXT
    assert note.opened(both, [stranger.public, PETER]) == TEXT
    with pytest.raises(NoteError, match="no known key"):
        note.opened(stranger.sign(TEXT), [PETER])
    with pytest.raises(NoteError, match="signature is wrong"):
        note.opened(NOTE.replace("answer", "enigma"), [PETER])


@pytest.mark.parametrize(
    "bad",
    [
        "",
        TEXT,
        NOTE.rstrip("\n"),
        NOTE.replace("— ", "- "),
        NOTE + "more\n",
        f"{TEXT}\n",
        f"{TEXT}\n— PeterNeumann AAA\n",
        f"{TEXT}\n" + NOTE.rpartition("\n\n")[2] * 101,
    ],
)
def test_what_is_no_note_is_refused(bad: str) -> None:
    with pytest.raises(NoteError):
        note.opened(bad, [PETER])


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "a+b",
        VKEY.replace("c74f20a3", "c74f20a4"),
        VKEY.replace("+AR", "+Ag"),
        VKEY[:-4],
        "a b" + VKEY[12:],
    ],
)
def test_what_is_no_key_is_refused(bad: str) -> None:
    with pytest.raises(NoteError):
        PublicKey.parse(bad)
    with pytest.raises(NoteError):
        Signer.parse(f"PRIVATE+KEY+{bad}")


def test_private_keys_say_so_and_names_are_plain() -> None:
    with pytest.raises(NoteError, match="private"):
        Signer.parse(VKEY)
    with pytest.raises(NoteError, match="name"):
        Signer.make("a b")


def test_a_checkpoint_is_origin_size_and_root() -> None:
    # The example of C2SP tlog-checkpoint.
    root = base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
    head = Checkpoint("example.com/behind-the-sofa", 20852163, root)
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert head.text == text
    assert checkpoint.parse(text) == head
    assert checkpoint.parse(text + "an extension\n") == head
    signer = Signer.make(head.origin)
    assert checkpoint.opened(head.signed(signer), head.origin, [signer.public]) == head
    with pytest.raises(NoteError, match="another log"):
        checkpoint.opened(head.signed(signer), "example.com", [signer.public])
    for bad in (text[:-1], text.replace("2085", "02085"), text.replace("I=", "="), "a\n1\n"):
        with pytest.raises(NoteError, match="not a checkpoint"):
            checkpoint.parse(bad)


def test_keys_are_private_kept_and_seen_when_they_change(tmp_path: Path) -> None:
    keys, other = Keys(tmp_path / "keys"), Keys(tmp_path / "keys")
    before = keys.present
    assert not before
    first, second = Signer.make("log"), Signer.make("log")
    for signer in (first, second):
        keys.save(signer)
        keys.activate(signer.public)
        assert keys.signer() == other.signer() == signer
        assert keys.signer() is keys.signer()
    assert keys.present
    assert keys.public()[0] == second.public
    assert set(keys.public()) == {first.public, second.public}
    for file in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_keys_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    def words(work: object) -> str:
        with pytest.raises(Refusal) as caught:
            work()  # type: ignore[operator]  # one of the bound methods below
        assert caught.value.code is Code.LOG_KEY
        return caught.value.reasons[0].subject

    keys, signer = Keys(tmp_path / "keys"), Signer.make("log")
    assert words(keys.signer) == "it is not here"
    (tmp_path / "file").write_text("")
    blocked = Keys(tmp_path / "file")
    assert words(lambda: blocked.save(signer)) == "it cannot be written"
    assert words(lambda: blocked.activate(signer.public)) == "it cannot be written"
    keys.save(signer)
    keys.activate(signer.public)
    file = tmp_path / "keys" / f"{signer.public.id.hex()}.vkey"
    file.write_text("nonsense")
    assert words(keys.public) == "a public key is damaged"
    file.with_suffix(".key").write_text("nonsense")
    keys.activate(signer.public)
    assert words(keys.signer) == "its file is damaged"


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "folder" / "file"
    put(place, b"one")
    put(place, b"two", durable=True)
    assert place.read_bytes() == b"two"
    (tmp_path / "busy" / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        put(tmp_path / "busy", b"three")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "busy", tmp_path / "folder"]
