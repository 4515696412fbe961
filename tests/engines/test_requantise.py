"""The same model as Q8_0: what is in it, when it is made, and what happens where it cannot be."""

import errno
import os
import struct
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ponder import config
from ponder.core.errors import ModelFileError, UsageError
from ponder.engines._gguf import TENSOR_TYPES, read_gguf
from ponder.engines._llama import Batch, Context, Model
from ponder.engines.embedded import requantise
from ponder.engines.embedded.requantise import RequantiseFailed, requantised, worth

NUMBERS = {name: number for number, (name, _, _) in TENSOR_TYPES.items()}
STR, U32, ARR = 8, 4, 9


def text(value):
    return struct.pack("<Q", len(value)) + value


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def gguf(path, tensors, *, alignment=64, file_type=3):
    """A file of {name: (type, shape, bytes)}; its metadata holds traps for whoever looks for the table by name."""
    names = [text(name.encode()) for name in tensors]
    entries = [
        entry(b"general.alignment", U32, struct.pack("<I", alignment)),
        entry(b"general.name", STR, text(b"general.file_type" + names[0] + struct.pack("<I", 2))),
        *([] if file_type is None else [entry(b"general.file_type", U32, struct.pack("<I", file_type))]),
        entry(b"general.quantization_version", U32, struct.pack("<I", 2)),
        entry(b"tokenizer.ggml.tokens", ARR, struct.pack("<IQ", STR, 2) + text(b"a") + text("ü".encode())),
    ]
    table, body = b"", b""
    for name, (kind, shape, data) in zip(names, tensors.values(), strict=True):
        table += name + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, NUMBERS[kind], len(body))
        body += data + bytes(-len(data) % alignment)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(entries)) + b"".join(entries)
    path.write_bytes(head + table + bytes(-len(head + table) % alignment) + body)
    return path


def q4_1(rows, columns, seed=0):
    """Bytes of Q4_1, and the weights they stand for."""
    rng = np.random.default_rng(seed)
    blocks = rows * columns // 32
    scale = rng.uniform(0.01, 0.1, (blocks, 2)).astype("<f2")
    low, high = rng.integers(0, 16, (2, blocks, 16), dtype=np.uint8)
    data = b"".join(s.tobytes() + (a | b << 4).tobytes() for s, a, b in zip(scale, low, high, strict=True))
    d, m = scale.astype(np.float32).T[:, :, None]
    return data, (np.concatenate((low, high), 1) * d + m).reshape(rows, columns)


def q8_0(data, rows, columns):
    blocks = np.frombuffer(data, np.uint8).reshape(-1, 34)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    return (blocks[:, 2:].view(np.int8) * scale).reshape(rows, columns)


@pytest.fixture
def tiny(tmp_path):
    def make(**more):
        data, _ = q4_1(40, 64)
        tensors = {
            "first": ("Q4_1", (64, 40), data),
            "norm": ("F32", (3,), np.arange(3, dtype="<f4").tobytes()),
            "halves": ("F16", (32, 2), np.arange(64, dtype="<f2").tobytes()),
            "line": ("Q4_1", (64,), data[:40]),
            "cube": ("Q4_1", (32, 2, 2), data[:80]),
            "eight": ("Q8_0", (32, 1), bytes(range(34))),
        }
        return gguf(tmp_path / "tiny.gguf", tensors, **more)

    return make


def bytes_of(path, header):
    whole = path.read_bytes()
    return {t.name: whole[t.offset : t.offset + t.nbytes] for t in header.tensors}


# -- what is in it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("floats", [64, 192, 1 << 20])
@pytest.mark.parametrize("alignment", [32, 256])
def test_only_quantised_matrices_change(tiny, monkeypatch, floats, alignment):
    monkeypatch.setattr(requantise, "FLOATS", floats)
    path = tiny(alignment=alignment)
    made = requantised(path)
    before, after = read_gguf(path), read_gguf(made)
    assert after.file_type == 7
    assert {**before.metadata, "general.file_type": 7} == after.metadata
    assert [(t.name, t.shape) for t in before.tensors] == [(t.name, t.shape) for t in after.tensors]
    assert [t.type for t in after.tensors] == ["Q8_0", "F32", "F16", "Q4_1", "Q4_1", "Q8_0"]
    old, new = bytes_of(path, before), bytes_of(made, after)
    assert {k: v for k, v in old.items() if k != "first"} == {k: v for k, v in new.items() if k != "first"}
    _, weights = q4_1(40, 64)
    assert np.abs(q8_0(new["first"], 40, 64) - weights).max() < np.abs(weights).max() / 200
    # All but the table of tensors, the file's type and the data is the same, byte by byte.
    table = path.read_bytes().rindex(text(b"first"), 0, before.data_offset)
    differing = np.frombuffer(path.read_bytes()[:table], np.uint8) != np.frombuffer(
        made.read_bytes()[:table], np.uint8
    )
    assert differing.sum() == 1


def test_a_header_without_a_type_stays_without(tiny):
    assert read_gguf(requantised(tiny(file_type=None))).file_type is None


def test_every_type_of_fewer_bits_is_converted(tmp_path):
    low = {
        "Q4_0",
        "Q4_1",
        "Q5_0",
        "Q5_1",
        "Q2_K",
        "Q3_K",
        "Q4_K",
        "Q5_K",
        "Q6_K",
        "IQ4_NL",
        "IQ4_XS",
        "MXFP4",
    }
    kept = {"F32", "F16", "BF16", "Q8_0", "I8"}
    tensors = {}
    for kind in sorted(low | kept):
        _, block, width = TENSOR_TYPES[NUMBERS[kind]]
        tensors[kind] = (kind, (256, 3), bytes(256 * 3 // block * width))
    made = read_gguf(requantised(gguf(tmp_path / "all.gguf", tensors)))
    assert {t.name: t.type for t in made.tensors} == dict.fromkeys(low, "Q8_0") | {k: k for k in kept}


@pytest.mark.model
def test_the_model_means_the_same(smollm2, tmp_path):
    """It loads, writes the same sort of text, and its distributions are those of the shipped file."""
    shipped = tmp_path / "m.gguf"
    shipped.symlink_to(smollm2)
    rows, texts = [], []
    for path in (smollm2, requantised(shipped)):
        model = Model(path)
        context = Context(model, n_ctx=256, n_outputs_max=64, threads=1, flash_attn=True)
        batch = Batch(64)
        prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
        about = " ".join(
            f"In {y} the river rose and the mill on its bank stood still." for y in range(1900, 1999)
        )
        ids = model.tokenize(about, add_special=False, parse_special=False)[:64]
        batch.add(ids, np.arange(64), 0, 1)
        assert context.decode(batch) == 0
        logits = context.all_logits().astype(np.float64)
        rows.append(logits - np.logaddexp.reduce(logits, 1, keepdims=True))
        context.clear()
        ids = model.tokenize(prompt, add_special=False, parse_special=True)
        written, position = [], 0
        for _ in range(32):
            batch.clear()
            batch.add(ids, np.arange(position, position + len(ids)), 0, 1)
            assert context.decode(batch) == 0
            position += len(ids)
            ids = [int(context.logits(-1).argmax())]
            if model.is_eog(ids[0]):
                break
            written += ids
        texts.append(b"".join(model.piece(i, special=False) for i in written).decode())
        model.close()
    assert all("Paris" in t for t in texts), texts
    p, q = rows
    kl = float((np.exp(p) * (p - q)).sum(1).mean())
    assert 0 <= kl <= 0.005
    assert worth(smollm2).types == ("Q4_1",)


# -- when it is made ----------------------------------------------------------------------------------------------


def test_it_is_made_once_and_anew_when_the_original_changes(tiny, tmp_path):
    path = tiny()
    made = requantised(path)
    assert made.parent == path.parent
    state = made.stat()
    assert requantised(path) == made
    assert made.stat().st_mtime_ns == state.st_mtime_ns
    os.utime(path, ns=(1, 1))
    assert requantised(path) != made


def test_a_damaged_copy_is_made_again(tiny):
    path = tiny()
    made = requantised(path)
    whole = made.read_bytes()
    made.write_bytes(whole[:-40])
    assert requantised(path).read_bytes() == whole


def test_worth_by_type(tmp_path, monkeypatch):
    monkeypatch.setattr(requantise, "_has_fast_q8_0", lambda: True)

    def of(**shares):
        tensors = {}
        for kind, rows in shares.items():
            _, block, width = TENSOR_TYPES[NUMBERS[kind]]
            tensors[f"blk.{kind}.weight"] = (kind, (256, rows), bytes(256 * rows // block * width))
        tensors["output.weight"] = ("Q4_1", (256, 1000), bytes(1000 * 160))
        return worth(gguf(tmp_path / "w.gguf", tensors))

    assert of(Q4_1=10).types == ("Q4_1",)
    assert "no fast kernel for Q4_1 and Q5_1 weights" in str(of(Q4_1=10, Q5_1=1, F16=1))
    assert of(Q5_1=10, Q4_K=2).gain == pytest.approx((10 / 0.45 + 2 / 1.39) / 12)
    # The mixture of a Q4_K_M file whose rows are no multiple of 256, and types that are faster than Q8_0.
    for shares in ({"Q5_0": 252, "Q6_K": 52, "Q4_K": 52}, {"Q8_0": 9}, {"Q4_K": 9}, {"F16": 9}, {"IQ2_S": 9}):
        assert of(**shares) is None
    monkeypatch.setattr(requantise, "available", lambda: 10_000)
    assert of(Q4_1=10) is None
    monkeypatch.undo()
    monkeypatch.setattr(requantise, "_has_fast_q8_0", lambda: False)
    assert of(Q4_1=10) is None


# -- where it cannot be made --------------------------------------------------------------------------------------


def left(folder):
    return sorted(p.name for p in folder.iterdir() if ".part" in p.name)


def test_no_model_file(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    for f in (worth, requantised):
        with pytest.raises(ModelFileError, match="damaged"):
            f(path)
        with pytest.raises(ModelFileError, match="cannot be read"):
            f(tmp_path / "none.gguf")


def test_a_folder_that_cannot_be_written(tiny, tmp_path, monkeypatch):
    path, into = tiny(), tmp_path / "a" / "cache"
    real = requantise.tempfile.mkstemp

    def refuse(*, dir, **more):  # noqa: A002 - tempfile's word; chmod would not stop a superuser
        if dir == tmp_path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(dir=dir, **more)

    monkeypatch.setattr(requantise.tempfile, "mkstemp", refuse)
    with pytest.raises(RequantiseFailed, match="cannot be written: Permission denied"):
        requantised(path)
    made = requantised(path, into)
    assert made.parent == into
    assert requantised(path, into) == made


def test_a_full_disk_is_told_and_leaves_nothing(tiny, tmp_path, monkeypatch):
    path = tiny()
    with monkeypatch.context() as patch:
        patch.setattr(requantise.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
        with pytest.raises(RequantiseFailed, match=r"no room for .*Free some"):
            requantised(path, tmp_path / "cache")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(requantise.os, "fsync", full)
    with pytest.raises(RequantiseFailed, match="No space left"):
        requantised(path)
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.gguf"]


def test_what_was_left_half_written_is_removed_in_time(tiny, tmp_path):
    path = tiny()
    name = requantise._name(path)
    old, new = tmp_path / f".{name}.a.part", tmp_path / f".{name}.b.part"
    for file in (old, new):
        file.touch()
    os.utime(old, (0, 0))
    requantised(path)
    assert left(tmp_path) == [new.name]


def test_two_processes_at_once(tmp_path):
    data, _ = q4_1(2048, 512)
    path = gguf(tmp_path / "m.gguf", {f"t{i}": ("Q4_1", (512, 2048), data) for i in range(8)})
    code = "import sys, pathlib; from ponder.engines.embedded.requantise import requantised as r; input(); r(pathlib.Path(sys.argv[1]))"
    running = [
        subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in running:
        process.stdin.write("\n")
        process.stdin.close()
    assert [process.wait(500) for process in running] == [0, 0]
    made = requantised(path).read_bytes()
    assert len(list(tmp_path.iterdir())) == 2
    requantised(path).unlink()
    assert requantised(path).read_bytes() == made


# -- as it is used ------------------------------------------------------------------------------------------------


@pytest.mark.model
def test_open_engine_makes_it_once_says_so_and_keeps_the_name(smollm2, tmp_path, monkeypatch):
    path = tmp_path / smollm2.name
    path.symlink_to(smollm2)
    said = []
    settings = config.Settings(tmp_path / "home", threads=1)
    for _ in range(2):
        engine = config.open_engine(path, settings, said.append)
        engine.close()
        assert engine.capabilities.name == "smollm2-135m"
    assert len(said) == 1
    assert "no fast kernel for Q4_1" in said[0]
    file, why = config.engine_file(path, settings)
    assert ".Q8_0-" in file.name
    assert "1.5 times" in why
    assert config.engine_file(path, config.Settings(tmp_path, requantise=False))[0] == path
    file.unlink()
    monkeypatch.setattr(requantise.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    file, why = config.engine_file(path, settings, said.append)
    assert file == path
    assert "There is no room" in why
    assert "There is no room" in said[-1]


@pytest.mark.parametrize(("said", "meant"), [("false", False), ("0", False), ("TRUE", True), ("1", True)])
def test_the_setting(tmp_path, said, meant):
    assert config.settings({"PONDER_REQUANTISE": said}, tmp_path).requantise is meant
    (tmp_path / "ponder.toml").write_text(f"requantise = {str(meant).lower()}\n")
    assert config.settings({}, tmp_path).requantise is meant
    with pytest.raises(UsageError, match="true or false, not 'maybe'"):
        config.settings({"PONDER_REQUANTISE": "maybe"}, tmp_path)
