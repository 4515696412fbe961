"""The same model as Q8_0, where llama.cpp multiplies this file's type of weights slowly; made once and kept.

What was measured, on two cores with AVX2, with llama.cpp b11549: reading 256 tokens with a model of one type,
beside the same model as Q8_0. The figures are in `SPEED`. Q8_0 is no faster to read than most types, but
Q4_1, Q5_1 and Q5_0 have no kernel that works on several tokens at once, or a poor one.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import mmap
import os
import shutil
import struct
import tempfile
import time
from contextlib import suppress
from ctypes import POINTER, c_bool, c_char_p, c_int, c_int64, c_size_t, c_void_p
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ponder.core.errors import EngineError, ModelFileError
from ponder.engines._gguf import SCALARS, TENSOR_TYPES, _Reader, read_gguf
from ponder.engines._llama import load_library
from ponder.engines.embedded.memory import available

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ponder.engines._gguf import GGUF, Tensor

VERSION = "1"
"""Part of the name of what is made here; a change makes all of it anew."""
SPEED = {
    "Q4_1": 0.66,
    "Q5_1": 0.45,
    "Q5_0": 0.80,
    "Q8_0": 1.0,
    "F16": 0.63,
    "BF16": 0.64,
    "Q4_0": 1.15,
    "MXFP4": 1.26,
    "IQ4_NL": 1.28,
    "Q6_K": 1.24,
    "Q2_K": 1.37,
    "Q4_K": 1.39,
    "IQ4_XS": 1.39,
    "Q3_K": 1.47,
    "Q5_K": 1.59,
}
"""Prompt tokens read a second, as a multiple of Q8_0's."""
UNKNOWN = 1.4
"""The same for a type that was not measured: it is taken to be fast, and is left alone."""
GAIN = 1.25
"""How much faster a prompt must be read for a second file to be worth its room. By estimate: Q4_1 gains 1.5
(measured on a 135M model: 446 tok/s after 272; 16 samples at once 168 after 156), a 0.5B Q4_K_M file, which
is mostly Q5_0, 1.1 (measured: 175 to 182 after 153 to 155; 86 to 88 after 77 to 82)."""
SHARE = 0.5
"""The part of the memory that is free now which the weights may fill."""
VOCABULARY = ("token_embd.weight", "output.weight")
"""Matrices that reading a prompt hardly uses."""
MOSTLY_Q8_0 = 7
"""general.file_type of a file whose matrices are Q8_0."""
TYPES = {name: (number, block, width) for number, (name, block, width) in TENSOR_TYPES.items()}
Q8_0, BLOCK, WIDTH = TYPES["Q8_0"]
FLOATS = 4 << 20
"""Weights in hand at once: 16 MB of floats."""
FORGOTTEN = 3600.0
"""Seconds after which what another process left half written is removed."""


class RequantiseFailed(EngineError):
    """The Q8_0 file could not be made; the original serves as well, more slowly."""


@dataclass(frozen=True, slots=True)
class Why:
    """Why a file should be requantised; `str()` is a sentence."""

    types: tuple[str, ...]  # the slow ones
    gain: float  # how much faster a prompt is read, estimated
    nbytes: int  # of the new file, within an alignment for each tensor

    def __str__(self) -> str:
        named = " and ".join(self.types)
        return (
            f"llama.cpp has no fast kernel for {named} weights here; as Q8_0 ({self.nbytes / 1e6:,.0f} MB) it reads "
            f"a prompt about {self.gain:.1f} times as fast."
        )


def worth(path: Path) -> Why | None:
    """Does it pay on this processor, by the header alone? None: no, or nobody knows.

    Only where llama.cpp was built for AVX2, where it was measured, or for ARM's dot products, where its source
    says the same: Q4_1, Q5_0 and Q5_1 alone have no kernel, and Q8_0 has one. Weights that would not fit into
    half of the memory that is free stay as they are.

    Raises:
        ModelFileError: it is no model file, or cut short.

    """
    header = _header(path)
    before = after = 0.0
    slow = set()
    for tensor in header.tensors:
        weights = prod(tensor.shape)
        if len(tensor.shape) != 2 or tensor.name in VOCABULARY:
            continue
        speed = SPEED.get(tensor.type, UNKNOWN)
        before += weights / speed
        after += weights / (1.0 if _converted(tensor) else speed)
        if speed < 1.0 and _converted(tensor):
            slow.add(tensor.type)
    nbytes = header.data_offset + sum(_size(tensor) for tensor in header.tensors)
    gain = before / after if after else 1.0
    if gain < GAIN or nbytes > SHARE * available() or not _has_fast_q8_0():
        return None
    return Why(tuple(sorted(slow)), gain, nbytes)


def kept(path: Path, into: Path | None = None) -> Path | None:
    """The Q8_0 file that `requantised` would return without making one."""
    name = _name(path)
    for folder in (path.parent, into):
        if folder is not None and (found := folder / name).is_file():
            with suppress(ValueError):
                read_gguf(found)
                return found
    return None


def requantised(path: Path, into: Path | None = None) -> Path:
    """The same model with every block-quantised matrix as Q8_0; made if it is not there yet, about 1 s for 135M.

    It stands beside `path`, or in the folder `into` where that cannot be written. All else, the vocabulary above
    all, is copied byte by byte; so are types of more bits, and tensors that are no matrices. It appears whole or
    not at all: two processes that make it at once make it twice, and the last one stays. One made from an
    earlier state of `path` is not removed.

    Raises:
        ModelFileError: it is no model file, or cut short.
        RequantiseFailed: there is no room or no folder that can be written; nothing is left behind.

    """
    path = Path(path)
    if path.is_file() and (found := kept(path, into)):
        return found
    header = _header(path)
    name = _name(path)
    first: OSError | None = None
    for folder in (path.parent, into):
        if folder is None:
            continue
        try:
            if folder is into:
                folder.mkdir(parents=True, exist_ok=True)
            return _make(path, header, folder / name)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise RequantiseFailed(
                    f"There is no room for {folder / name}: {error.strerror}. Free some, or set requantise = false."
                ) from error
            first = first or error
    raise RequantiseFailed(
        f"{path.parent / name} cannot be written: {first.strerror if first else 'no folder'}. "
        "Make its folder writable, or set requantise = false."
    ) from first


def _header(path: Path) -> GGUF:
    try:
        return read_gguf(path)
    except ValueError as error:
        raise ModelFileError(str(error)) from error


def _name(path: Path) -> str:
    """The file's name says which state of which file it was made from."""
    about = path.stat()
    state = hashlib.sha256(f"{about.st_size} {about.st_mtime_ns} {VERSION}".encode()).hexdigest()[:10]
    return f"{path.stem}.Q8_0-{state}.gguf"


def _converted(tensor: Tensor) -> bool:
    """Is it a block-quantised matrix of fewer bits than Q8_0?"""
    _, block, width = TYPES[tensor.type]
    fewer = width * BLOCK < WIDTH * block
    return len(tensor.shape) == 2 and block > 1 and fewer and tensor.shape[0] % BLOCK == 0


def _size(tensor: Tensor) -> int:
    return prod(tensor.shape) // BLOCK * WIDTH if _converted(tensor) else tensor.nbytes


# -- the library ----------------------------------------------------------------------------------------------


class _Traits(ctypes.Structure):
    """ggml_type_traits: `to_float` makes k floats of a row of blocks."""

    _fields_ = (
        ("name", c_char_p),
        ("blck_size", c_int64),
        ("blck_size_interleave", c_int64),
        ("type_size", c_size_t),
        ("is_quantized", c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_int64)),
        ("from_float_ref", c_void_p),
    )


def _function(name: str, result: Any, *arguments: Any) -> Any:
    """A function of the library, declared apart from what the binding declares."""
    return ctypes.CFUNCTYPE(result, *arguments)((name, load_library()))


def _has_fast_q8_0() -> bool:
    told: bytes = _function("llama_print_system_info", c_char_p)() or b""
    return b"AVX2 = 1" in told or b"DOTPROD = 1" in told


class _Converter:
    """Blocks of any type to blocks of Q8_0, a few rows at a time."""

    def __init__(self) -> None:
        self.traits = _function("ggml_get_type_traits", POINTER(_Traits), c_int)
        self.quantize = _function(
            "ggml_quantize_chunk",
            *(c_size_t, c_int, c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p),
        )

    def __call__(self, tensor: Tensor, file: BinaryIO) -> Iterator[memoryview]:
        """The tensor's bytes as Q8_0; each piece is gone with the next one."""
        number, block, width = TYPES[tensor.type]
        traits = self.traits(number).contents
        if (traits.blck_size, traits.type_size, bool(traits.to_float)) != (block, width, True):
            raise RequantiseFailed(f"llama.cpp cannot convert {tensor.type} weights. Use the original.")
        row, rows = tensor.shape
        row_bytes, row_8 = row // block * width, row // BLOCK * WIDTH
        step = max(1, FLOATS // row)
        floats = np.empty(min(step, rows) * row, np.float32)
        made = np.empty(min(step, rows) * row_8, np.uint8)
        for begin in range(0, rows, step):
            count = min(step, rows - begin)
            source = np.frombuffer(
                _read(file, tensor.offset + begin * row_bytes, count * row_bytes), np.uint8
            )
            traits.to_float(source.ctypes.data, floats.ctypes.data, count * row)
            wrote = self.quantize(Q8_0, floats.ctypes.data, made.ctypes.data, 0, count, row, None)
            if wrote != count * row_8:
                raise RequantiseFailed(
                    f"llama.cpp made {wrote} bytes of Q8_0, not {count * row_8}. Use the original."
                )
            yield made[: count * row_8].data


def _copied(tensor: Tensor, file: BinaryIO) -> Iterator[bytes]:
    for begin in range(0, tensor.nbytes, FLOATS):
        yield _read(file, tensor.offset + begin, min(FLOATS, tensor.nbytes - begin))


def _read(file: BinaryIO, offset: int, nbytes: int) -> bytes:
    """Read, not mapped: a file that somebody cuts short meanwhile is an error here, and not a signal."""
    file.seek(offset)
    data = file.read(nbytes)
    if len(data) < nbytes:
        raise RequantiseFailed("The file became shorter while it was read. Try again.")
    return data


# -- the file -------------------------------------------------------------------------------------------------


class _Places(_Reader):
    """Where in the file its table of tensors begins, and where its type stands."""

    table = 0
    file_type: int | None = None
    last = ""

    def string(self) -> str:
        self.last = super().string()
        return self.last

    def value(self, kind: int) -> Any:
        if self.last == "general.file_type" and SCALARS.get(kind) in {"I", "i"}:
            self.file_type = self.at
        return super().value(kind)

    def tensor(self, alignment: int) -> tuple[str, tuple[int, ...], str, int, int]:
        self.table = self.table or self.at
        return super().tensor(alignment)


def _make(path: Path, header: GGUF, target: Path) -> Path:
    _remove_forgotten(target)
    alignment = header.metadata.get("general.alignment", 32)
    room = header.data_offset + sum(_size(t) + alignment for t in header.tensors)
    free = shutil.disk_usage(target.parent).free
    if room > free:
        raise OSError(errno.ENOSPC, f"it needs {room / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free")
    number, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(number, "wb") as file, path.open("rb") as original:
            file.write(_head(path, header, alignment))
            convert = _Converter()
            for tensor in header.tensors:
                for piece in (convert if _converted(tensor) else _copied)(tensor, original):
                    file.write(piece)
                file.write(bytes(-_size(tensor) % alignment))
            file.flush()
            os.fsync(file.fileno())
        unfinished.chmod(path.stat().st_mode & 0o666 | 0o600)
        read_gguf(unfinished)
        try:
            unfinished.replace(target)
        except PermissionError:  # on Windows, while another process has the one it made open
            if not target.is_file():
                raise
    except ValueError as error:
        raise RequantiseFailed(f"What was written is no model file ({error}). Use the original.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _head(path: Path, header: GGUF, alignment: int) -> bytes:
    """The header with the new types, and with tensors that follow one another in the order of the table."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        places = _Places(path, data, header.file_size)
        places.header()
        head = bytearray(data[: places.table])
    if places.file_type is not None:
        head[places.file_type : places.file_type + 4] = struct.pack("<I", MOSTLY_Q8_0)
    offset = 0
    for tensor in header.tensors:
        name = tensor.name.encode()
        kind = Q8_0 if _converted(tensor) else TYPES[tensor.type][0]
        head += struct.pack("<Q", len(name)) + name
        head += struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        head += struct.pack("<IQ", kind, offset)
        offset += -(-_size(tensor) // alignment) * alignment
    return bytes(head) + bytes(-len(head) % alignment)


def _remove_forgotten(target: Path) -> None:
    """What a process that was killed left half written."""
    for left in target.parent.glob(f".{target.name}.*.part"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > FORGOTTEN:
                left.unlink()
