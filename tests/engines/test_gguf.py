"""The GGUF header reader against files built by hand, sound and hostile."""

import os
import struct
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ponder.engines._gguf import MAX_ELEMENTS, MAX_ENTRIES, Elided, read_gguf

U32, F32, BOOL, STR, ARR, U64 = 4, 6, 7, 8, 9, 10


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def tensor(name, shape, kind, offset):
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def gguf(entries=(), tensors=(), data=b"", *, version=3, n_entries=None, n_tensors=None, alignment=32):
    head = struct.pack(
        "<4sIQQ",
        b"GGUF",
        version,
        len(tensors) if n_tensors is None else n_tensors,
        len(entries) if n_entries is None else n_entries,
    )
    head += b"".join(entries) + b"".join(tensors)
    return head + bytes(-len(head) % alignment) + data


ENTRIES = (
    entry("general.architecture", STR, text("llama")),
    entry("general.name", STR, text("Tiny")),
    entry("general.file_type", U32, struct.pack("<I", 7)),
    entry("llama.context_length", U32, struct.pack("<I", 128)),
    entry("tokenizer.ggml.model", STR, text("gpt2")),
    entry("tokenizer.chat_template", STR, text("{{ messages }}")),
    entry("tokenizer.ggml.tokens", ARR, struct.pack("<IQ", STR, 3) + text("a") + text("") + text("ü")),
    entry("some.numbers", ARR, struct.pack("<IQ3I", U32, 3, 1, 2, 3)),
    entry("many.numbers", ARR, struct.pack("<IQ", U32, 100) + bytes(400)),
    entry("a.float", F32, struct.pack("<f", 0.5)),
    entry("a.flag", BOOL, b"\x01"),
)
TENSORS = (tensor("x", (32, 2), 8, 0), tensor("y", (3,), 0, 96))
SOUND = gguf(ENTRIES, TENSORS, bytes(96 + 12))


@pytest.fixture
def write(tmp_path):
    def put(data):
        path = tmp_path / "m.gguf"
        path.write_bytes(data)
        return path

    return put


def test_a_sound_file_is_read(write):
    path = write(SOUND)
    header = read_gguf(path)
    assert header.path == path
    assert header.version == 3
    assert header.architecture == "llama"
    assert header.name == "Tiny"
    assert header.file_type == 7
    assert header.context_length == 128
    assert header.tokenizer_model == "gpt2"
    assert header.chat_template == "{{ messages }}"
    assert header.metadata["tokenizer.ggml.tokens"] == Elided(3)
    assert header.metadata["some.numbers"] == (1, 2, 3)
    assert header.metadata["many.numbers"] == Elided(100)
    assert header.metadata["a.float"] == 0.5
    assert header.metadata["a.flag"] is True
    x, y = header.tensors
    assert (x.name, x.shape, x.type, x.nbytes) == ("x", (32, 2), "Q8_0", 68)
    assert (y.name, y.shape, y.type, y.nbytes) == ("y", (3,), "F32", 12)
    assert x.offset == header.data_offset
    assert y.offset == header.data_offset + 96
    assert header.expected_size == header.file_size == len(SOUND)


def test_what_is_absent_is_none(write):
    header = read_gguf(write(gguf()))
    assert header.architecture is header.name is header.file_type is header.context_length is None
    assert header.tensors == ()


def test_metadata_of_the_wrong_type_is_as_good_as_absent(write):
    header = read_gguf(write(gguf([entry("general.architecture", U32, bytes(4))])))
    assert header.architecture is None


def test_a_larger_file_is_no_fault(write):
    assert read_gguf(write(SOUND + bytes(50))).expected_size == len(SOUND)


def test_alignment_is_heeded(write):
    entries = [entry("general.alignment", U32, struct.pack("<I", 64))]
    header = read_gguf(write(gguf(entries, [tensor("x", (1,), 0, 64)], bytes(68), alignment=64)))
    assert header.data_offset % 64 == 0


def many(n):
    return [entry(f"k{i}", U32, bytes(4)) for i in range(n)]


HOSTILE = {
    "empty": (b"", "is empty"),
    "one byte": (b"G", "not a GGUF"),
    "magic alone": (b"GGUF", "cut short"),
    "a zip file": (b"PK\3\4" + bytes(100), "not a GGUF"),
    "a safetensors file": (struct.pack("<Q", 9) + b'{"a": 1} ', "not a GGUF"),
    "version 1": (gguf(version=1), "version 1"),
    "big-endian": (gguf(version=3 << 24), "big-endian"),
    "absurd tensor count": (gguf(n_tensors=2**63), "claims 9,223,372,036,854,775,808 tensors"),
    "absurd entry count": (gguf(n_entries=2**40), "metadata entries"),
    "more entries than the file holds": (gguf(ENTRIES, n_entries=MAX_ENTRIES), "damaged"),
    "absurd key": (gguf([struct.pack("<Q", 2**62)], n_entries=1), "string of"),
    "key past the end": (gguf([struct.pack("<Q", 1 << 20)], n_entries=1), "cut short"),
    "string past the end": (gguf([entry("k", STR, struct.pack("<Q", 1 << 20))]), "cut short"),
    "unknown metadata type": (gguf([entry("k", 99, b"")]), "unknown type 99"),
    "array in an array": (gguf([entry("k", ARR, struct.pack("<IQ", ARR, 1))]), "array of the unknown type"),
    "absurd array": (gguf([entry("k", ARR, struct.pack("<IQ", U64, 2**61))]), "arrays of"),
    "array past the end": (gguf([entry("k", ARR, struct.pack("<IQ", U64, MAX_ELEMENTS))]), "cut short"),
    "strings past the end": (gguf([entry("k", ARR, struct.pack("<IQ", STR, MAX_ELEMENTS))]), "cut short"),
    "a string in an array past the end": (
        gguf([entry("k", ARR, struct.pack("<IQQ", STR, 1, 2**63))]),
        "cut short",
    ),
    "a key twice": (gguf(many(1) * 2), "twice"),
    "alignment 0": (gguf([entry("general.alignment", U32, bytes(4))]), "alignment"),
    "alignment 3": (gguf([entry("general.alignment", U32, struct.pack("<I", 3))]), "alignment"),
    "alignment in words": (gguf([entry("general.alignment", STR, text("32"))]), "alignment"),
    "no dimension": (gguf((), [tensor("x", (), 0, 0)]), "0 dimensions"),
    "five dimensions": (gguf((), [tensor("x", (1,) * 5, 0, 0)]), "5 dimensions"),
    "unknown tensor type": (gguf((), [tensor("x", (32,), 77, 0)]), "unknown type 77"),
    "removed tensor type": (gguf((), [tensor("x", (32,), 31, 0)]), "unknown type 31"),
    "no weights": (gguf((), [tensor("x", (0,), 0, 0)]), "impossible shape"),
    "part of a block": (gguf((), [tensor("x", (33,), 8, 0)], bytes(99)), "impossible shape"),
    "overflowing shape": (gguf((), [tensor("x", (2**40, 2**40), 0, 0)]), "impossible shape"),
    "crooked offset": (gguf((), [tensor("x", (1,), 0, 5)], bytes(99)), "impossible shape"),
    "huge offset": (gguf((), [tensor("x", (1,), 0, 2**60)]), "cut short"),
    "two tensors of one name": (gguf((), [tensor("x", (1,), 0, 0)] * 2, bytes(4)), "of one name"),
    "one of several parts": (gguf([entry("split.count", U32, struct.pack("<I", 3))]), "one of 3 parts"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_at_once_with_advice(write, case):
    data, complaint = HOSTILE[case]
    path = write(data)
    begun = time.thread_time()
    with pytest.raises(ValueError, match=complaint) as caught:
        read_gguf(path)
    assert time.thread_time() - begun < 1
    message = str(caught.value)
    assert str(path) in message
    assert any(word in message for word in ("Download", "Convert", "convert", "Join"))


def test_a_file_cut_anywhere_is_refused(write):
    for length in range(4, len(SOUND)):
        with pytest.raises(ValueError, match="cut short"):
            read_gguf(write(SOUND[:length]))


def test_many_tiny_strings_are_bounded(write):
    array = struct.pack("<IQ", STR, MAX_ELEMENTS)
    entries = [entry("k", ARR, struct.pack("<IQ", STR, 1000) + bytes(8000)), entry("l", ARR, array)]
    with pytest.raises(ValueError, match="arrays of"):
        read_gguf(write(gguf(entries)))


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        read_gguf(tmp_path / "absent.gguf")
    with pytest.raises(ValueError, match="cannot be read"):
        read_gguf(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        read_gguf(tmp_path / "pipe")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(4, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_any_damage_is_read_or_refused(write, changes):
    data = bytearray(SOUND)
    for at, value in changes:
        data[at] = value
    try:
        header = read_gguf(write(bytes(data)))
    except ValueError:
        return
    assert header.expected_size <= len(data)
