"""The llama.cpp C API inside the xllamacpp wheel, as a few Python objects.

The struct layouts are those of `include/llama.h` in the source release of xllamacpp 2026.10.11549
(llama.cpp b11549). llama.cpp reorders them between builds, so the wheel is pinned, `load_library` compares
every default value and `Context` the sizes it asked for: a `BindingMismatch` names the field.

The C side answers several mistakes by aborting the process or throwing through us; each is refused here
first. A context and its batches belong to one thread at a time: `close` during `decode` is a crash.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import threading
import weakref
from collections import deque
from contextlib import contextmanager
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ponder.engines._gguf import read_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

MAX_SEQUENCES = 256  # LLAMA_MAX_SEQ, compiled in
KV_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "bf16": 30}
MEAN_POOLING = 1
SPINS = "1000"
REINSTALL = "Install the xllamacpp version that ponder pins."


class BindingMismatch(RuntimeError):
    """The library's structs are not laid out as this module believes."""


# --- structs passed by value ----------------------------------------------------------------------------


def _fields(*groups: tuple[Any, str]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, kind) for kind, names in groups for name in names.split())


class ModelParams(ctypes.Structure):
    _fields_ = _fields(
        (c_void_p, "devices tensor_buft_overrides"),
        (c_int32, "n_gpu_layers split_mode load_mode lazy_mode main_gpu"),
        (c_void_p, "tensor_split progress_callback progress_callback_user_data kv_overrides"),
        (c_bool, "vocab_only check_tensors use_extra_bufts no_host no_alloc load_mtp"),
    )


class ContextParams(ctypes.Structure):
    _fields_ = _fields(
        (c_uint32, "n_ctx n_batch n_ubatch n_seq_max n_rs_seq n_outputs_max n_outputs_max_per_seq"),
        (c_int32, "n_threads n_threads_batch"),
        (c_int, "ctx_type rope_scaling_type pooling_type attention_type flash_attn_type"),
        (c_float, "rope_freq_base rope_freq_scale"),
        (c_float, "yarn_ext_factor yarn_attn_factor yarn_beta_fast yarn_beta_slow"),
        (c_uint32, "yarn_orig_ctx"),
        (c_float, "defrag_thold"),
        (c_void_p, "cb_eval cb_eval_user_data"),
        (c_int, "type_k type_v"),
        (c_size_t, "moe_cache_size"),
        (c_void_p, "abort_callback abort_callback_data"),
        (c_bool, "embeddings offload_kqv no_perf op_offload swa_full kv_unified"),
        (c_void_p, "samplers"),
        (c_size_t, "n_samplers"),
        (c_void_p, "ctx_other"),
    )


class BatchStruct(ctypes.Structure):
    _fields_ = _fields((c_int32, "n_tokens"), (c_void_p, "token embd pos n_seq_id seq_id logits"))


def _roomy(kind: type[ctypes.Structure]) -> type[ctypes.Structure]:
    """`kind` with room behind it, lest a library whose struct has grown write over our memory."""
    fields = (("params", kind), ("beyond", ctypes.c_ubyte * 512))
    return type(f"Roomy{kind.__name__}", (ctypes.Structure,), {"_fields_": fields})


def check_defaults(roomy: Any, defaults: Any) -> None:
    """Compare what llama_*_default_params() returned with its documented values, field by field."""
    kind = type(defaults).__name__
    for name, _ in defaults._fields_:
        found, expected = getattr(roomy.params, name), getattr(defaults, name)
        if found != expected:
            raise BindingMismatch(f"llama.cpp has {found} in {kind}.{name}, not {expected}. {REINSTALL}")


MODEL_DEFAULTS = ModelParams(n_gpu_layers=-1, split_mode=1, load_mode=-1, lazy_mode=1, use_extra_bufts=True)
CONTEXT_DEFAULTS = ContextParams(
    *(512, 2048, 512, 1, 0, 0, 1, 4, 4),  # n_ctx to n_threads_batch
    *(0, -1, -1, -1, -1),  # the enums
    *(0.0, 0.0, -1.0, -1.0, -1.0, -1.0, 0, -1.0),  # rope_freq_base to defrag_thold
    *(None, None, KV_TYPES["f16"], KV_TYPES["f16"], 0, None, None),
    *(False, True, True, True, True, False),  # embeddings to kv_unified
)

# --- the library ----------------------------------------------------------------------------------------

LogCallback = ctypes.CFUNCTYPE(None, c_int, c_char_p, c_void_p)
_P, _I = c_void_p, c_int32
SIGNATURES: tuple[tuple[Any, tuple[Any, ...], str], ...] = (  # result, arguments, names
    (None, (), "llama_backend_init"),
    (None, (LogCallback, _P), "llama_log_set"),
    (_roomy(ModelParams), (), "llama_model_default_params"),
    (_roomy(ContextParams), (), "llama_context_default_params"),
    (_P, (c_char_p, ModelParams), "llama_model_load_from_file"),
    (_P, (_P, ContextParams), "llama_init_from_model"),
    (None, (_P,), "llama_model_free llama_free"),
    (_P, (_P,), "llama_model_get_vocab llama_get_memory"),
    (_I, (_P,), "llama_model_n_ctx_train llama_model_n_embd llama_model_n_embd_out llama_model_n_layer"),
    (c_uint64, (_P,), "llama_model_n_params"),
    (_I, (_P, c_char_p, c_size_t), "llama_model_desc"),
    (_I, (_P, c_char_p, c_char_p, c_size_t), "llama_model_meta_val_str"),
    (c_char_p, (_P, c_char_p), "llama_model_chat_template"),
    (_I, (_P,), "llama_vocab_n_tokens llama_vocab_bos llama_vocab_eos llama_vocab_eot"),
    (c_bool, (_P,), "llama_vocab_get_add_bos"),
    (c_bool, (_P, _I), "llama_vocab_is_eog"),
    (_I, (_P, c_char_p, _I, _P, _I, c_bool, c_bool), "llama_tokenize"),
    (_I, (_P, _I, c_char_p, _I, _I, c_bool), "llama_token_to_piece"),
    (c_uint32, (_P,), "llama_n_ctx llama_n_ctx_seq llama_n_batch llama_n_ubatch llama_n_seq_max"),
    (_I, (_P,), "llama_n_threads llama_n_threads_batch llama_pooling_type"),
    (_I, (_P, BatchStruct), "llama_decode"),
    (POINTER(c_float), (_P,), "llama_get_logits"),
    (POINTER(c_float), (_P, _I), "llama_get_logits_ith llama_get_embeddings_seq"),
    (None, (_P, c_bool), "llama_memory_clear"),
    (c_bool, (_P, _I, _I, _I), "llama_memory_seq_rm"),
    (None, (_P, _I, _I, _I, _I), "llama_memory_seq_cp"),
    (_I, (_P, _I), "llama_memory_seq_pos_max"),
)

WARNING, CONTINUED = 3, 5  # ggml_log_level; errors are 4, all else is below 3
_lock = threading.Lock()
_loaded: list[ctypes.CDLL] = []
_log: deque[str] = deque(maxlen=12)
_keeping = [False]  # does a CONTINUED piece belong to a line we kept?


def _keep(level: int, text: bytes | None, _: object) -> None:
    if level != CONTINUED:
        _keeping[0] = level >= WARNING
    if _keeping[0] and text and text.strip(b" .\n"):
        _log.append(text.decode("utf-8", "replace").strip())


_listener = LogCallback(_keep)  # lives as long as the library may log


def recent_log() -> str:
    """llama.cpp's latest warnings and errors, to quote in an error of ours."""
    return " | ".join(_log) or "it gives no reason"


def find_library() -> Path:
    """The shared object of the xllamacpp package, found without importing the package."""
    spec = importlib.util.find_spec("xllamacpp")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for found in sorted(Path(folder).glob("xllamacpp*")):
            if found.suffix in {".so", ".pyd", ".dylib"}:
                return found
    raise RuntimeError(f"The package xllamacpp, which holds llama.cpp, is not installed. {REINSTALL}")


@contextmanager
def _patient_threads() -> Iterator[None]:
    """Let libgomp, if it is loaded inside, spin briefly at each barrier and then sleep.

    By default it spins for milliseconds, and a second busy process on two cores makes a step take 3 s in place
    of 0.2; with this it takes 0.2, and as long as ever where the cores are ours. Who set either variable knows.
    """
    if {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = SPINS  # libgomp reads it once, as it is loaded
    try:
        yield
    finally:
        os.environ.pop("GOMP_SPINCOUNT", None)


def load_library(path: str | None = None) -> ctypes.CDLL:
    """The library: loaded, declared, checked and silenced once. `path` counts in the first call only."""
    with _lock:
        if not _loaded:
            with _patient_threads():
                library = ctypes.CDLL(path or str(find_library()))
            for result, arguments, names in SIGNATURES:
                for name in names.split():
                    if not hasattr(library, name):
                        raise BindingMismatch(f"llama.cpp's {name} is missing. {REINSTALL}")
                    function = getattr(library, name)
                    function.restype, function.argtypes = result, arguments
            check_defaults(library.llama_model_default_params(), MODEL_DEFAULTS)
            check_defaults(library.llama_context_default_params(), CONTEXT_DEFAULTS)
            library.llama_log_set(_listener, None)
            library.llama_backend_init()
            _loaded.append(library)
    return _loaded[0]


class _Owned:
    """A native thing with one owner; `close` may be called any number of times."""

    def __init__(self, handle: int, free: Any) -> None:
        self._handle = handle
        self._free = weakref.finalize(self, free, handle)

    @property
    def pointer(self) -> int:
        if not self._free.alive:
            raise RuntimeError(f"This {type(self).__name__.lower()} is closed. Open another one.")
        return self._handle

    def close(self) -> None:
        self._free()


# --- a model --------------------------------------------------------------------------------------------


class Model(_Owned):
    """Weights and vocabulary. Closing it closes its contexts first."""

    def __init__(self, path: str | os.PathLike[str], *, vocab_only: bool = False) -> None:
        self.header = read_gguf(path)
        self.lib = load_library()
        params = self.lib.llama_model_default_params().params
        params.n_gpu_layers, params.vocab_only = 0, vocab_only
        _log.clear()
        handle = self.lib.llama_model_load_from_file(str(path).encode(), params)
        if not handle:
            raise ValueError(f"llama.cpp cannot load {path}: {recent_log()}.")
        super().__init__(handle, self.lib.llama_model_free)
        self.contexts: weakref.WeakSet[Context] = weakref.WeakSet()
        self._vocab = vocab = self.lib.llama_model_get_vocab(handle)
        self.n_vocab: int = self.lib.llama_vocab_n_tokens(vocab)
        self.n_ctx_train: int = self.lib.llama_model_n_ctx_train(handle)
        self.n_embd: int = self.lib.llama_model_n_embd(handle)
        self.n_embd_out: int = self.lib.llama_model_n_embd_out(handle)
        self.n_layer: int = self.lib.llama_model_n_layer(handle)
        self.n_params: int = self.lib.llama_model_n_params(handle)
        self.bos = self._special(self.lib.llama_vocab_bos)
        self.eos = self._special(self.lib.llama_vocab_eos)
        self.eot = self._special(self.lib.llama_vocab_eot)
        self.add_bos: bool = self.lib.llama_vocab_get_add_bos(vocab)

    def close(self) -> None:
        for context in list(self.contexts):
            context.close()
        super().close()

    def _special(self, function: Any) -> int | None:
        token: int = function(self._vocab)
        return token if token >= 0 else None

    @property
    def desc(self) -> str:
        buffer = ctypes.create_string_buffer(256)
        self.lib.llama_model_desc(self.pointer, buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    def meta(self, key: str) -> str | None:
        """One metadata value as text, or None."""
        size = 256
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = self.lib.llama_model_meta_val_str(self.pointer, key.encode(), buffer, size)
            if length < size:
                return buffer.value.decode("utf-8", "replace") if length >= 0 else None
            size = length + 1

    @property
    def architecture(self) -> str | None:
        return self.meta("general.architecture")

    @property
    def name(self) -> str | None:
        return self.meta("general.name")

    @property
    def chat_template(self) -> str | None:
        text = self.lib.llama_model_chat_template(self.pointer, None)
        return None if text is None else text.decode("utf-8", "replace")

    def tokenize(self, text: str | bytes, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids. `parse_special` reads `<|im_start|>` as one token: never for a stranger's text."""
        data = text.encode("utf-8", "replace") if isinstance(text, str) else text
        vocab, room = self.vocab, len(data) + 8
        tokens = np.empty(room, np.int32)
        count = self.lib.llama_tokenize(
            vocab, data, len(data), tokens.ctypes.data, room, add_special, parse_special
        )
        if count < 0:  # more tokens than bytes: no vocabulary we know does this
            raise ValueError("The text is too long to be tokenized at once. Split it.")
        ids: list[int] = tokens[:count].tolist()
        return ids

    def piece(self, token: int, *, special: bool) -> bytes:
        """The bytes a token stands for, maybe half a character; b'' for a special token unless `special`."""
        vocab, size = self._holding(token), 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = self.lib.llama_token_to_piece(vocab, token, buffer, size, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def is_eog(self, token: int) -> bool:
        """Does the token end a turn or a text?"""
        return bool(self.lib.llama_vocab_is_eog(self._holding(token), token))

    @cached_property
    def eog(self) -> frozenset[int]:
        """Every token that ends a turn or a text."""
        return frozenset(token for token in range(self.n_vocab) if self.is_eog(token))

    @property
    def vocab(self) -> int:
        return int(self.pointer and self._vocab)

    def _holding(self, token: int) -> int:
        if not 0 <= token < self.n_vocab:
            raise ValueError(f"There is no token {token}: this model has {self.n_vocab:,}.")
        return self.vocab


# --- a batch --------------------------------------------------------------------------------------------


class Batch:
    """Tokens for one `decode`, each of one sequence, in numpy arrays that the C side reads in place."""

    def __init__(self, capacity: int) -> None:
        self.tokens = np.zeros(capacity, np.int32)
        self.positions = np.zeros(capacity, np.int32)
        self.sequences = np.zeros(capacity, np.int32)
        self.outputs = np.zeros(capacity, np.int8)
        self._ones = np.ones(capacity, np.int32)
        self._where = (self.sequences.ctypes.data + 4 * np.arange(capacity)).astype(np.uintp)
        arrays = (self.tokens, None, self.positions, self._ones, self._where, self.outputs)
        self._addresses = [None if array is None else array.ctypes.data for array in arrays]
        self.capacity, self.n_tokens = capacity, 0

    def clear(self) -> None:
        self.n_tokens = 0

    def add(self, tokens: ArrayLike, positions: ArrayLike, sequences: ArrayLike, outputs: ArrayLike) -> None:
        """Append tokens; the other arguments are as long, or scalars for them all."""
        tokens = np.asarray(tokens)
        begin, end = self.n_tokens, self.n_tokens + tokens.size
        if end > self.capacity:
            raise ValueError(f"{end} tokens do not fit a batch of {self.capacity}.")
        self.tokens[begin:end] = tokens
        self.positions[begin:end] = positions
        self.sequences[begin:end] = sequences
        self.outputs[begin:end] = outputs
        self.n_tokens = end

    @property
    def n_outputs(self) -> int:
        return int(np.count_nonzero(self.outputs[: self.n_tokens]))

    @property
    def struct(self) -> BatchStruct:
        return BatchStruct(self.n_tokens, *self._addresses)


# --- a context ------------------------------------------------------------------------------------------


class Context(_Owned):
    """A KV cache for `n_seq_max` sequences, and the buffers to compute with.

    `n_ctx` counts the cells of all sequences together. With `kv_unified=False` ("streams") each sequence has
    n_ctx / n_seq_max of its own, rounded up to 256 (`n_ctx_seq`), and attends to nothing else; with True all
    share one cache and every step reads all of it. `n_outputs_max` bounds the rows of logits of one decode.
    With `embeddings` the cache is unified, every token is an output, and a batch fits in one ubatch.
    """

    def __init__(
        self,
        model: Model,
        *,
        n_ctx: int,
        n_seq_max: int = 1,
        n_batch: int = 512,
        n_ubatch: int = 512,
        n_outputs_max: int | None = None,
        threads: int,
        kv_unified: bool = False,
        flash_attn: bool | None = None,
        type_k: str = "f16",
        type_v: str = "f16",
        embeddings: bool = False,
    ) -> None:
        if not 1 <= n_seq_max <= MAX_SEQUENCES:
            raise ValueError(f"n_seq_max is {n_seq_max}; llama.cpp takes 1 to {MAX_SEQUENCES} sequences.")
        if min(n_ctx, n_batch, n_ubatch, threads) < 1:
            raise ValueError("n_ctx, n_batch, n_ubatch and threads must be at least 1.")
        kv_unified = (
            kv_unified or embeddings
        )  # streams cut a batch up, and would keep the mean of its last part
        n_outputs_max = n_batch if embeddings or n_outputs_max is None else n_outputs_max
        if n_outputs_max < n_seq_max:
            raise ValueError(f"n_batch and n_outputs_max must be at least n_seq_max, which is {n_seq_max}.")
        if embeddings and min(-(-n_ctx // 256) * 256, n_batch, n_ubatch) % n_seq_max:
            raise ValueError(
                "For embeddings n_batch and n_ubatch must be multiples of n_seq_max. Use powers of 2."
            )
        self.model, self.lib, self.embedding = model, model.lib, embeddings
        self.kv_unified, self.n_seq_max, self.n_outputs_max = kv_unified, n_seq_max, n_outputs_max
        params = self.lib.llama_context_default_params().params
        params.n_ctx, params.n_seq_max, params.kv_unified = n_ctx, n_seq_max, kv_unified
        params.n_batch, params.n_ubatch, params.n_outputs_max = n_batch, n_ubatch, n_outputs_max
        params.n_threads = params.n_threads_batch = threads
        params.type_k, params.type_v = KV_TYPES[type_k], KV_TYPES[type_v]
        params.flash_attn_type = -1 if flash_attn is None else int(flash_attn)
        params.embeddings, params.pooling_type = embeddings, MEAN_POOLING if embeddings else -1
        _log.clear()
        handle = self.lib.llama_init_from_model(model.pointer, params)
        if not handle:
            raise ValueError(f"llama.cpp cannot make this context: {recent_log()}.")
        super().__init__(handle, self.lib.llama_free)
        model.contexts.add(self)
        self._memory = self.lib.llama_get_memory(handle)
        self.n_ctx: int = self.lib.llama_n_ctx(handle)
        self.n_ctx_seq: int = self.lib.llama_n_ctx_seq(handle)
        self.n_batch: int = self.lib.llama_n_batch(handle)
        self.n_ubatch: int = self.lib.llama_n_ubatch(handle)
        self.n_rows = 0
        self._check(n_seq_max=n_seq_max, n_threads=threads, n_threads_batch=threads)
        streams = 1 if kv_unified else n_seq_max
        if self.n_ctx != streams * self.n_ctx_seq or self.n_batch > n_batch or self.n_ubatch > n_ubatch:
            raise BindingMismatch(f"llama.cpp mistook n_ctx, n_batch, n_ubatch or kv_unified. {REINSTALL}")

    def _check(self, **asked: int) -> None:
        for name, wanted in asked.items():
            found = getattr(self.lib, f"llama_{name}")(self.pointer)
            if found != wanted:
                raise BindingMismatch(f"llama.cpp took {name} for {found}, not {wanted}. {REINSTALL}")

    def decode(self, batch: Batch) -> int:
        """Compute a batch, without the GIL. 0: done. 1: no room in the cache, and nothing has changed.

        -1: an invalid batch, say a gap in a sequence's positions, and nothing has changed. 2 or below -1:
        it failed half way, and what was computed stays (see `seq_pos_max`). `recent_log` says more.
        """
        if self.embedding:
            batch.outputs[: batch.n_tokens] = 1
        rows = batch.n_outputs
        most = self.n_ubatch if self.embedding else self.n_batch
        if not 0 < batch.n_tokens <= most or rows > self.n_outputs_max:
            raise ValueError(
                f"A batch of {batch.n_tokens} tokens with {rows} outputs does not fit: this context takes 1 to "
                f"{most} tokens and up to {self.n_outputs_max} outputs. Split it."
            )
        status: int = self.lib.llama_decode(self.pointer, batch.struct)
        self.n_rows = rows if status == 0 else 0
        return status

    def logits(self, i: int) -> NDArray[np.float32]:
        """The logits after the batch's i-th token, -1 the last output: a view, gone at the next decode."""
        pointer = self.lib.llama_get_logits_ith(self.pointer, i) if self.n_rows else None
        if not pointer:
            raise IndexError(f"The last decode kept no logits for token {i} of its batch.")
        return np.ctypeslib.as_array(pointer, (self.model.n_vocab,))

    def all_logits(self) -> NDArray[np.float32]:
        """A row for each output, in the batch's order: a view, gone at the next decode."""
        pointer = self.lib.llama_get_logits(self.pointer) if self.n_rows else None
        if not pointer:
            raise IndexError("The last decode kept no logits.")
        return np.ctypeslib.as_array(pointer, (self.n_rows, self.model.n_vocab))

    def embeddings(self, seq: int) -> NDArray[np.float32]:
        """The mean embedding of the tokens of a sequence in the last decode (a context with embeddings=True)."""
        self._sequence(seq)
        pointer = self.lib.llama_get_embeddings_seq(self.pointer, seq) if self.n_rows else None
        if not pointer:
            raise IndexError(f"The last decode kept no embedding of sequence {seq}.")
        return np.ctypeslib.as_array(pointer, (self.model.n_embd_out,)).copy()

    # The cache. A range of positions is [begin, end); None is the sequence's end.

    def seq_cp(self, source: int, target: int, end: int | None = None) -> None:
        """Make `target` a copy of `source`, or of its first `end` positions, whatever it held before.

        Streams copy all n_ctx_seq cells, at the next decode; a unified cache only marks cells as shared.
        """
        cells = self._cells
        if self._sequence(source) != self._sequence(target):
            if self.kv_unified:
                self.seq_rm(target)
            self.lib.llama_memory_seq_cp(cells, source, target, -1, -1)
        if end is not None:
            self.seq_rm(target, end)

    def seq_rm(self, seq: int, begin: int = 0, end: int | None = None) -> None:
        """Forget [begin, end) of a sequence. A recurrent memory can only forget all."""
        begin, end = max(begin, 0), -1 if end is None else max(end, 0)
        if not self.lib.llama_memory_seq_rm(self._cells, self._sequence(seq), begin, end):
            raise ValueError(f"The memory of a {self.model.architecture} model cannot be rewound in part.")

    def seq_keep(self, seq: int) -> None:
        """Forget every sequence but this one (C's seq_keep leaves other streams alone)."""
        self._sequence(seq)
        for other in range(self.n_seq_max):
            if other != seq:
                self.seq_rm(other)

    def seq_pos_max(self, seq: int) -> int:
        """The last position held of a sequence; -1 if none."""
        return int(self.lib.llama_memory_seq_pos_max(self._cells, self._sequence(seq)))

    def clear(self) -> None:
        """Forget every sequence."""
        self.lib.llama_memory_clear(self._cells, False)

    @property
    def _cells(self) -> int:
        return int(self.pointer and self._memory)

    def _sequence(self, seq: int) -> int:
        if not 0 <= seq < self.n_seq_max:
            raise ValueError(f"There is no sequence {seq}: this context has {self.n_seq_max}.")
        return seq
