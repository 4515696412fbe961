"""A GGUF model in this process: OpenVINO's kernels for x86 processors, on the same scheduler as llama.cpp's."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ponder.core.errors import (
    EngineError,
    ModelFileError,
    UsageError,
)
from ponder.engines._llama import BindingMismatch, Model
from ponder.engines.embedded.engine import Embedded
from ponder.engines.embedded.memory import available, processors
from ponder.engines.embedded.scheduler import Scheduler
from ponder.engines.embedded.vocabulary import Vocabulary

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from ponder.engines._llama import Context
    from ponder.engines.paged.graph import Shape

CONTEXT = 2048
"""Tokens of a sequence where nobody says."""
SHARE = 0.5
"""The part of the memory that is free now which the cache may take, if nothing in it were shared."""


class OpenVino(Embedded):
    """A Q8_0 model file of the architecture llama or qwen2, with one thread that runs it.

    Calls from any number of tasks share each step of the model, and whatever prefixes they share is read once
    and kept once: the cache is made of blocks, and a fork copies at most the last one. What one call samples is
    its own, but the last digits of its logits depend on the calls beside it; so the same seed gives the same text
    only where the timing is the same. What was sampled is in `token_ids`.

    Tokens are those of the file, as llama.cpp reads it.

    Args:
        path: a .gguf file whose matrices are Q8_0 (see `embedded.requantise`).
        context: the most tokens a prompt and its answer may have; by default what the model was trained with,
            2,048 at most.
        sequences: calls that run at once, at most, and prefixes that are remembered. Fewer where the memory that
            is free now would not hold them, were they all different; `sequences` tells how many there are.
        threads: of the processor; by default all that this process may use.
        exact: multiply in float32 what is by default rounded to 8 bits: three times as near to the model's own
            distributions, and half as fast.
        name: by default what the file says.

    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        context: int | None = None,
        sequences: int = 32,
        threads: int | None = None,
        exact: bool = False,
        name: str | None = None,
    ) -> None:
        """Read the file, compile the model and start the thread.

        Raises:
            ModelFileError: no such file, or no model file, or one that is cut short.
            Unsupported: an architecture or a type of weights that is not known here.
            UsageError: openvino is not installed, or a context or number of sequences that makes no sense.
            EngineError: it cannot be opened here, for example for lack of memory.

        """
        try:
            from ponder.engines.paged.graph import graph
            from ponder.engines.paged.passes import Passes
        except ImportError as error:
            raise UsageError(
                f"This engine needs openvino ({error}). Install it: pip install 'ponder[openvino]'"
            ) from error
        try:
            model = Model(path, vocab_only=True)
        except ValueError as error:
            raise ModelFileError(str(error)) from error
        except (BindingMismatch, RuntimeError) as error:
            raise EngineError(str(error)) from error
        try:
            written, shape = graph(Path(path))
            n_ctx, n_seq = _layout(shape, context=context, sequences=sequences)
            vocabulary = Vocabulary(model)
            passes = Passes(
                written,
                sequences=n_seq,
                context=n_ctx,
                threads=threads or processors(),
                exact=exact,
            )
        except (ValueError, RuntimeError) as error:
            model.close()
            raise EngineError(f"OpenVINO cannot open this model: {error}") from error
        except BaseException:
            model.close()
            raise

        def free() -> None:
            vocabulary.close()
            passes.close()
            model.close()

        self._passes = passes
        super().__init__(
            vocabulary,
            # The scheduler asks for no more of a context than `Passes` answers.
            Scheduler(cast("Context", passes), free),
            name=name or model.name or Path(path).stem,
            context=n_ctx,
            sequences=n_seq,
        )

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The mean of each text's last hidden states. Special tokens are not recognised in them.

        Raises:
            UsageError: a text without a token, for a model that puts none in front.
            ContextOverflow: a text longer than the context.

        """
        self._scheduler.check()
        read = [self._vocabulary.plain(text) for text in texts]
        for ids in read:
            if not ids:
                raise UsageError("An empty text has no embedding. Leave it out.")
            self._room(ids, 0)
        return [await self._scheduler.run(partial(self._passes.mean, ids)).wait() for ids in read]


def _layout(shape: Shape, *, context: int | None, sequences: int) -> tuple[int, int]:
    """Tokens of each sequence, and sequences: fewer where memory is short, never a smaller context."""
    if sequences < 1:
        raise UsageError(f"Give at least 1 sequence, not {sequences}.")
    trained = shape.trained
    if context is not None and not 16 <= context <= trained:
        raise UsageError(
            f"Give a context from 16 to {trained:,} tokens, which the model knows, not {context}."
        )
    n_ctx = context or min(trained, CONTEXT)
    token = 2 * 2 * shape.layers * shape.groups * shape.head  # keys and values of two bytes
    return n_ctx, max(1, min(sequences, int(available() * SHARE) // (n_ctx * token)))
