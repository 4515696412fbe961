"""What this machine gives: how many tokens of how many sequences fit into memory, and processors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ponder.core.errors import UsageError
from ponder.engines._llama import MAX_SEQUENCES

if TYPE_CHECKING:
    from ponder.engines._llama import Model

CONTEXT = 2048
"""Tokens of a sequence where nobody says: each copy of a sequence copies its whole context."""
SHARE = 0.25
"""The part of the memory that is free now which the cache may take where the caller set no context."""
UNKNOWN = 4 << 30
"""Bytes taken to be free where the system does not tell."""


def layout(model: Model, *, context: int | None, sequences: int) -> tuple[int, int]:
    """Tokens of each sequence, and sequences: fewer where memory is short, never a smaller context.

    Raises:
        UsageError: fewer than 1 sequence, or more than llama.cpp can count, or a context below 16.

    """
    if not 1 <= sequences <= MAX_SEQUENCES:
        raise UsageError(f"Give sequences from 1 to {MAX_SEQUENCES}, not {sequences}.")
    if context is not None and context < 16:
        raise UsageError(f"A context of {context} tokens holds no prompt. Give at least 16.")
    n_ctx = context or min(model.n_ctx_train, CONTEXT)
    n_ctx = -(-n_ctx // 256) * 256  # llama.cpp rounds up itself
    fit = int(available() * (SHARE if context is None else 2 * SHARE)) // (n_ctx * token_bytes(model))
    return n_ctx, max(1, min(sequences, fit))


def token_bytes(model: Model) -> int:
    """Bytes of the cache for one token of one sequence, keys and values in f16."""

    def number(key: str, default: int) -> int:
        text = model.meta(f"{model.architecture}.{key}")
        return int(text) if text is not None and text.isdigit() else default

    heads = number("attention.head_count", 1)
    groups = number("attention.head_count_kv", heads)
    width = model.n_embd // heads
    keys = groups * number("attention.key_length", width)
    values = groups * number("attention.value_length", width)
    return max(1, 2 * model.n_layer * (keys + values))


def available() -> int:
    """Bytes of memory that are free now, as far as the system tells."""
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return UNKNOWN
    for line in told.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return UNKNOWN


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
