"""The ctypes binding against the real library and a real, tiny model."""

import ctypes
import random
import sys
import threading

import numpy as np
import pytest

from ponder.engines import _llama
from ponder.engines._llama import Batch, BindingMismatch, Context, Model

TEXT = "The quick brown fox jumps over the lazy dog. " * 4


# --- without a model ------------------------------------------------------------------------------------


def test_the_library_is_loaded_once_without_its_package():
    before = "xllamacpp" in sys.modules
    assert _llama.load_library() is _llama.load_library()
    assert ("xllamacpp" in sys.modules) == before


def test_struct_sizes():
    if ctypes.sizeof(ctypes.c_void_p) == 8:
        structs = (_llama.ModelParams, _llama.ContextParams, _llama.BatchStruct)
        assert [ctypes.sizeof(struct) for struct in structs] == [80, 168, 56]


@pytest.mark.parametrize("defaults", [_llama.MODEL_DEFAULTS, _llama.CONTEXT_DEFAULTS])
def test_a_moved_field_is_named(defaults):
    kind = type(defaults)
    for name, field in kind._fields_:
        moved = kind.from_buffer_copy(defaults)
        value = getattr(moved, name)
        setattr(moved, name, not value if field is ctypes.c_bool else (value or 0) + 1)
        roomy = type("Roomy", (), {"params": moved})
        with pytest.raises(BindingMismatch, match=rf"{kind.__name__}\.{name}, not"):
            _llama.check_defaults(roomy, defaults)


def test_an_unloadable_file_is_refused_in_words(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF\3\0\0\0" + bytes(16))  # a sound header of nothing
    with pytest.raises(ValueError, match="cannot load"):
        Model(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="not a GGUF"):
        Model(path)


def test_a_batch_takes_scalars_and_arrays_and_refuses_too_many():
    batch = Batch(4)
    batch.add([7, 8], np.arange(2), 3, [0, 1])
    batch.add([9], 5, 1, outputs=True)
    assert batch.tokens[:3].tolist() == [7, 8, 9]
    assert batch.positions[:3].tolist() == [0, 1, 5]
    assert batch.sequences[:3].tolist() == [3, 3, 1]
    assert (batch.n_tokens, batch.n_outputs) == (3, 2)
    with pytest.raises(ValueError, match="5 tokens do not fit a batch of 4"):
        batch.add([1, 2], 0, 0, 0)
    with pytest.raises(ValueError, match="broadcast"):
        batch.add([1], [1, 2], 0, 0)
    assert batch.n_tokens == 3
    batch.clear()
    assert (batch.n_tokens, batch.n_outputs) == (0, 0)


# --- with one -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(smollm2):
    model = Model(smollm2)
    yield model
    model.close()


@pytest.fixture
def context(model):
    context = Context(model, n_ctx=4 * 512, n_seq_max=4, threads=2, flash_attn=True)
    yield context
    context.close()


def feed(context, tokens, seq, at=0):
    """Decode tokens of one sequence; the logits after the last."""
    batch = Batch(len(tokens))
    batch.add(tokens, at + np.arange(len(tokens)), seq, 0)
    batch.outputs[len(tokens) - 1] = 1
    assert context.decode(batch) == 0, _llama.recent_log()
    return context.logits(-1).copy()


def ids(model):
    return model.tokenize(TEXT, add_special=False, parse_special=False)


@pytest.mark.model
def test_facts(model):
    assert (model.n_vocab, model.n_ctx_train, model.n_embd, model.n_layer) == (49152, 8192, 576, 30)
    assert model.n_params == 134_515_008
    assert model.architecture == model.header.architecture == "llama"
    assert model.name == model.header.name
    assert model.chat_template == model.header.chat_template
    assert model.meta("no.such.key") is None
    assert (model.bos, model.eos, model.add_bos) == (1, 2, False)
    assert model.is_eog(2)
    assert not model.is_eog(100)
    assert {0, 2} <= model.eog
    assert "llama" in model.desc


@pytest.mark.model
def test_tokens_round_trip_and_special_text_is_text_unless_asked(model):
    for sample in ("", "plain", "Größe 漢字 🦊", "a\0b", " \n\t "):
        tokens = model.tokenize(sample, add_special=False, parse_special=False)
        assert b"".join(model.piece(token, special=False) for token in tokens) == sample.encode()
    assert model.tokenize("<|im_end|>", add_special=False, parse_special=True) == [2]
    assert len(model.tokenize("<|im_end|>", add_special=False, parse_special=False)) > 1
    assert model.piece(2, special=True) == b"<|im_end|>"
    assert model.piece(2, special=False) == b""


@pytest.mark.model
def test_no_bytes_can_crash_the_tokenizer(model):
    rng = random.Random(0)
    for length in range(60):
        data = rng.randbytes(length)
        assert all(
            0 <= t < model.n_vocab for t in model.tokenize(data, add_special=False, parse_special=True)
        )
    model.tokenize("lone \ud800 surrogate", add_special=False, parse_special=False)


@pytest.mark.model
@pytest.mark.parametrize("token", [-1, 49152, 2**31 - 1])
def test_a_foreign_token_is_refused(model, context, token):
    with pytest.raises(ValueError, match="no token"):
        model.piece(token, special=True)
    with pytest.raises(ValueError, match="no token"):
        model.is_eog(token)
    batch = Batch(1)
    batch.add([token], 0, 0, 1)
    assert context.decode(batch) == -1


@pytest.mark.model
def test_rows_come_in_batch_order_though_sequences_are_regrouped(model, context):
    tokens, batch = ids(model), Batch(64)
    lengths = {2: 5, 0: 30, 1: 14}
    for seq, length in lengths.items():
        batch.add(tokens[:length], np.arange(length), seq, np.arange(length) == length - 1)
    assert context.decode(batch) == 0
    rows, last = context.all_logits().copy(), np.cumsum(list(lengths.values())) - 1
    assert rows.shape == (3, model.n_vocab)
    assert all(np.array_equal(context.logits(int(i)), row) for i, row in zip(last, rows, strict=True))
    for row, length in zip(rows, lengths.values(), strict=True):
        context.clear()
        alone = feed(context, tokens[:length], 0)
        assert alone.argmax() == row.argmax()
        assert np.abs(alone - row).max() < 2  # another batch, other roundings; another row differs by 15


@pytest.mark.model
@pytest.mark.parametrize("unified", [False, True])
def test_a_fork_goes_on_as_its_source_and_a_rewind_is_exact(model, unified):
    tokens = ids(model)
    context = Context(model, n_ctx=1024, n_seq_max=4, threads=2, flash_attn=True, kv_unified=unified)
    assert context.n_ctx_seq == (1024 if unified else 256)
    feed(context, tokens[:40], 0)
    feed(context, tokens[:7], 3)
    context.seq_cp(0, 1)
    context.seq_cp(1, 2)  # a copy of a copy that no decode has carried out yet
    context.seq_cp(2, 3, end=20)  # over what it held
    assert [context.seq_pos_max(seq) for seq in range(4)] == [39, 39, 39, 19]
    context.seq_rm(0)
    assert context.seq_pos_max(0) == -1
    first = feed(context, tokens[40:41], 1, 40)
    assert np.array_equal(first, feed(context, tokens[40:41], 2, 40))
    short = feed(context, tokens[20:21], 3, 20)
    context.seq_rm(1, 40)
    assert np.array_equal(first, feed(context, tokens[40:41], 1, 40))
    context.seq_cp(1, 1, end=10)
    assert context.seq_pos_max(1) == 9
    context.seq_keep(2)
    assert [context.seq_pos_max(seq) for seq in range(4)] == [-1, -1, 40, -1]
    context.clear()
    feed(context, tokens[:20], 0)
    assert np.abs(feed(context, tokens[20:21], 0, 20) - short).max() < 2
    context.close()


@pytest.mark.model
def test_what_would_abort_the_process_is_refused(model, context):
    for call in (context.seq_pos_max, context.seq_rm, context.seq_keep, context.embeddings):
        for seq in (-1, 4):
            with pytest.raises(ValueError, match="no sequence"):
                call(seq)
    with pytest.raises(ValueError, match="no sequence"):
        context.seq_cp(0, 4)
    with pytest.raises(ValueError, match="0 tokens"):
        context.decode(Batch(1))
    batch = Batch(513)
    batch.add(np.ones(513, int), np.arange(513), 0, 0)
    with pytest.raises(ValueError, match="513 tokens"):
        context.decode(batch)
    with pytest.raises(IndexError, match="no logits"):
        context.all_logits()
    feed(context, [5, 6], 0)
    for row in (0, 7, -2):
        with pytest.raises(IndexError, match="no logits"):
            context.logits(row)
    for wrong in (
        {"n_seq_max": 0},
        {"n_seq_max": 257},
        {"n_ctx": 0},
        {"n_batch": 0},
        {"threads": 0},
        {"n_seq_max": 4, "n_outputs_max": 3},
        {"n_seq_max": 4, "n_batch": 3},
        {"n_seq_max": 3, "embeddings": True},
    ):
        with pytest.raises(ValueError, match=r"n_seq_max|at least 1"):
            Context(model, **{"n_ctx": 256, "threads": 1, **wrong})


@pytest.mark.model
def test_outputs_are_bounded_as_asked(model):
    context = Context(model, n_ctx=256, threads=2, n_outputs_max=2)
    batch = Batch(3)
    batch.add([5, 6, 7], np.arange(3), 0, 1)
    with pytest.raises(ValueError, match="3 outputs"):
        context.decode(batch)
    batch.outputs[0] = 0
    assert context.decode(batch) == 0
    assert context.all_logits().shape == (2, model.n_vocab)


@pytest.mark.model
def test_a_full_cache_and_a_gap_change_nothing(model):
    context = Context(model, n_ctx=512, n_seq_max=2, threads=2)
    feed(context, np.resize(ids(model), 256), 0)
    batch = Batch(1)
    batch.add([5], 256, 0, 1)
    assert context.decode(batch) == 1
    assert context.seq_pos_max(0) == 255
    with pytest.raises(IndexError):
        context.logits(-1)
    batch.clear()
    batch.add([5], 9, 1, 1)
    context.seq_cp(0, 1, end=5)
    assert context.decode(batch) == -1
    assert "inconsistent sequence positions" in _llama.recent_log()
    assert context.seq_pos_max(1) == 4


@pytest.mark.model
def test_decode_lets_other_threads_run(model, context):
    ran = threading.Event()
    thread = threading.Thread(target=ran.set)
    batch = Batch(512)
    batch.add(np.resize(ids(model), 500), np.arange(500), 0, 0)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # nobody is preempted: only a released lock lets the thread run
    try:
        thread.start()
        assert context.decode(batch) == 0
        assert ran.is_set()
    finally:
        sys.setswitchinterval(interval)
        thread.join()


@pytest.mark.model
def test_embeddings_place_like_near_like_and_do_not_depend_on_company(model):
    lines = (
        "The cat sat on the mat.",
        "A kitten sits on a rug, and sleeps for hours.",
        "Stocks fell sharply.",
    )
    context = Context(model, n_ctx=1024, n_seq_max=4, threads=2, embeddings=True)
    batch, alone = Batch(513), []
    for line in lines:
        tokens = model.tokenize(line, add_special=False, parse_special=False)
        batch.clear()
        batch.add(tokens, np.arange(len(tokens)), 0, 0)
        context.clear()
        assert context.decode(batch) == 0
        alone.append(context.embeddings(0))
    context.clear()
    batch.clear()
    for seq, line in enumerate(lines):
        tokens = model.tokenize(line, add_special=False, parse_special=False)
        batch.add(tokens, np.arange(len(tokens)), seq, 0)
    assert context.decode(batch) == 0
    together = [context.embeddings(seq) for seq in range(3)]
    cosines = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in together] for a in alone]
    assert together[0].shape == (model.n_embd_out,)
    assert np.diag(cosines) == pytest.approx(1, abs=1e-3)
    assert cosines[0][1] > cosines[0][2]
    batch.add(np.ones(513 - batch.n_tokens, int), 0, 0, 0)
    with pytest.raises(ValueError, match="1 to 512 tokens"):
        context.decode(batch)


@pytest.mark.model
def test_closing_twice_is_fine_and_using_after_is_an_error(smollm2):
    model = Model(smollm2, vocab_only=False)
    context = Context(model, n_ctx=256, threads=1)
    model.close()
    model.close()
    context.close()
    for use in (
        context.clear,
        lambda: context.logits(0),
        lambda: model.piece(5, special=True),
        lambda: model.desc,
    ):
        with pytest.raises((RuntimeError, IndexError), match=r"closed|no logits"):
            use()
    with pytest.raises(RuntimeError, match="This model is closed"):
        Context(model, n_ctx=256, threads=1)
    with pytest.raises(RuntimeError, match="This model is closed"):
        model.tokenize("x", add_special=False, parse_special=False)
