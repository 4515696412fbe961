"""Read the header of a GGUF model file: what it says it is, and how long it must be.

A model file is foreign data. Whatever a native library is to open is read here first, with a bound on
every count, so that a truncated, foreign or hostile file ends in one sentence within milliseconds.
Not covered: tensor contents, and a file that changes after it was read.
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ENTRIES = 65_536  # metadata entries, and tensors; real files have tens, and hundreds or thousands
MAX_ELEMENTS = 4_000_000  # array elements in all; a vocabulary of 262 k and its merges make under a million
MAX_STRING = 16 << 20
KEPT = 64  # a longer array, or one of strings, is only counted: nobody needs the vocabulary from here

#: Bytes of each type of scalar metadata, and how struct reads it.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9

#: ggml's type number, its name, weights in a block, bytes of a block.
_TYPES = """
    0 F32 1 4, 1 F16 1 2, 2 Q4_0 32 18, 3 Q4_1 32 20, 6 Q5_0 32 22, 7 Q5_1 32 24,
    8 Q8_0 32 34, 9 Q8_1 32 36, 10 Q2_K 256 84, 11 Q3_K 256 110, 12 Q4_K 256 144, 13 Q5_K 256 176,
    14 Q6_K 256 210, 15 Q8_K 256 292, 16 IQ2_XXS 256 66, 17 IQ2_XS 256 74, 18 IQ3_XXS 256 98, 19 IQ1_S 256 50,
    20 IQ4_NL 32 18, 21 IQ3_S 256 110, 22 IQ2_S 256 82, 23 IQ4_XS 256 136, 24 I8 1 1, 25 I16 1 2,
    26 I32 1 4, 27 I64 1 8, 28 F64 1 8, 29 IQ1_M 256 56, 30 BF16 1 2, 34 TQ1_0 256 54,
    35 TQ2_0 256 66, 39 MXFP4 32 17, 40 NVFP4 64 36, 41 Q1_0 128 18, 42 Q2_0 64 18
"""
TENSOR_TYPES = {
    int(number): (name, int(weights), int(width))
    for number, name, weights, width in (row.split() for row in _TYPES.split(","))
}


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    shape: tuple[int, ...]  # ggml's order: the contiguous dimension first
    type: str
    offset: int  # from the start of the file
    nbytes: int


@dataclass(frozen=True, slots=True)
class Elided:
    """Stands for an array that was counted and not kept."""

    count: int


@dataclass(frozen=True, slots=True)
class GGUF:
    """A header whose tensors all lie inside the file."""

    path: Path
    version: int
    metadata: Mapping[str, Any]
    tensors: tuple[Tensor, ...]
    data_offset: int
    expected_size: int  # bytes the file must have at least
    file_size: int

    def _str(self, key: str) -> str | None:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def _int(self, key: str) -> int | None:
        value = self.metadata.get(key)
        return value if isinstance(value, int) else None

    @property
    def architecture(self) -> str | None:
        return self._str("general.architecture")

    @property
    def name(self) -> str | None:
        return self._str("general.name")

    @property
    def file_type(self) -> int | None:
        return self._int("general.file_type")

    @property
    def context_length(self) -> int | None:
        return self._int(f"{self.architecture}.context_length")

    @property
    def chat_template(self) -> str | None:
        return self._str("tokenizer.chat_template")

    @property
    def tokenizer_model(self) -> str | None:
        return self._str("tokenizer.ggml.model")


def read_gguf(path: str | os.PathLike[str]) -> GGUF:
    """The header of the file at `path`; ValueError if llama.cpp should not be given this file."""
    path = Path(path)
    try:
        with os.fdopen(_open_regular(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(4)
            if not start:
                raise ValueError(f"{path} is empty. Download or copy the model file again.")
            if start != b"GGUF":
                raise ValueError(
                    f"{path} is not a GGUF model file: it begins with {start!r}. "
                    "Give the path of a .gguf file, or convert the model with llama.cpp's convert_hf_to_gguf.py."
                )
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(path, data, size).header()
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read: {error.strerror or error}. Give the path of a .gguf file."
        ) from error


def _open_regular(path: Path) -> int:
    """Open without waiting for a writer: a pipe or a device is refused, never read."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    number = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(0, "it is not a regular file")
    return number


class _Reader:
    """A position in the header; every step checks that the file goes on that far."""

    def __init__(self, path: Path, data: mmap.mmap, size: int) -> None:
        self.path, self.data, self.size = path, data, size
        self.at = 4
        self.elements = 0

    def damaged(self, what: str) -> NoReturn:
        raise ValueError(
            f"{self.path} is a damaged GGUF file: {what}. Download or copy the model file again."
        )

    def skip(self, count: int) -> int:
        """Step over `count` bytes and say where they began."""
        begin = self.at
        if count > self.size - begin:
            self.damaged(f"its header is cut short at {self.size:,} bytes")
        self.at = begin + count
        return begin

    def scalar(self, code: str) -> Any:
        form = "<" + code
        return struct.unpack_from(form, self.data, self.skip(struct.calcsize(form)))[0]

    def string(self) -> str:
        length = self.scalar("Q")
        if length > MAX_STRING:
            self.damaged(f"it claims a string of {length:,} bytes")
        begin = self.skip(length)
        return self.data[begin : begin + length].decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            return self.array(self.scalar("I"), self.scalar("Q"))
        if kind not in SCALARS:
            self.damaged(f"it has metadata of the unknown type {kind}")
        return self.scalar(SCALARS[kind])

    def array(self, kind: int, count: int) -> Elided | tuple[Any, ...]:
        self.elements += count
        if self.elements > MAX_ELEMENTS:
            self.damaged(f"it claims metadata arrays of {self.elements:,} elements")
        if kind == STRING:
            self.skip_strings(count)
            return Elided(count)
        if kind not in SCALARS:
            self.damaged(f"it has an array of the unknown type {kind}")
        form = f"<{count}{SCALARS[kind]}"
        begin = self.skip(struct.calcsize(form))
        return Elided(count) if count > KEPT else struct.unpack_from(form, self.data, begin)

    def skip_strings(self, count: int) -> None:
        """What `skip(scalar("Q"))` does `count` times, fast: a vocabulary has a hundred thousand of them."""
        at, last, length = self.at, self.size - 8, struct.Struct("<Q").unpack_from
        for _ in range(count):
            if at > last:
                break
            at += 8 + length(self.data, at)[0]
        else:
            self.skip(at - self.at)
            return
        self.skip(self.size)

    def count(self, what: str) -> int:
        count: int = self.scalar("Q")
        if count > MAX_ENTRIES:
            self.damaged(f"it claims {count:,} {what}")
        return count

    def header(self) -> GGUF:
        version = self.scalar("I")
        if version not in {2, 3}:
            raise ValueError(
                f"{self.path} is GGUF of version {version & 0xFFFF or version >> 24}"
                f"{', or big-endian' if not version & 0xFFFF else ''}, which cannot be read. "
                "Convert the model again with a current llama.cpp."
            )
        n_tensors, n_entries = self.count("tensors"), self.count("metadata entries")
        metadata: dict[str, Any] = {}
        for _ in range(n_entries):
            key = self.string()
            if key in metadata:
                self.damaged(f"it has the metadata {key[:80]!r} twice")
            metadata[key] = self.value(self.scalar("I"))
        self.refuse_parts(metadata)
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20 or alignment & (alignment - 1):
            self.damaged(f"its alignment is {str(alignment)[:80]}, not a power of two")
        entries = [self.tensor(alignment) for _ in range(n_tensors)]
        data = -(-self.at // alignment) * alignment
        tensors = tuple(
            Tensor(name, shape, kind, data + offset, size) for name, shape, kind, offset, size in entries
        )
        if len({tensor.name for tensor in tensors}) < n_tensors:
            self.damaged("it has two tensors of one name")
        expected = max((tensor.offset + tensor.nbytes for tensor in tensors), default=self.at)
        if expected > self.size:
            raise ValueError(
                f"{self.path} is cut short: its tensors need {expected:,} bytes and it has {self.size:,}. "
                "Download or copy the model file again."
            )
        return GGUF(self.path, version, metadata, tensors, data, expected, self.size)

    def refuse_parts(self, metadata: Mapping[str, Any]) -> None:
        parts = metadata.get("split.count", 0)
        if isinstance(parts, int) and parts > 1:
            raise ValueError(
                f"{self.path} is one of {parts} parts of a model. Join them with llama.cpp's `llama-gguf-split --merge`."
            )

    def tensor(self, alignment: int) -> tuple[str, tuple[int, ...], str, int, int]:
        name, n_dims = self.string(), self.scalar("I")
        if not 1 <= n_dims <= 4:
            self.damaged(f"its tensor {name[:80]!r} has {n_dims} dimensions")
        shape = tuple(self.scalar("Q") for _ in range(n_dims))
        number, offset = self.scalar("I"), self.scalar("Q")
        if number not in TENSOR_TYPES:
            self.damaged(f"its tensor {name[:80]!r} is of the unknown type {number}")
        kind, block, width = TENSOR_TYPES[number]
        weights = prod(shape)
        if not 0 < weights < 1 << 62 or shape[0] % block or offset % alignment:
            self.damaged(f"its tensor {name[:80]!r} has the impossible shape {shape} or offset {offset}")
        return name, shape, kind, offset, weights // block * width
