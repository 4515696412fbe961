"""A GGUF model in this process: llama.cpp, with every call of every strategy in each of its steps."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ponder.core.errors import ContextOverflow, EngineError, ModelFileError, UsageError
from ponder.engines._llama import MAX_SEQUENCES, BindingMismatch, Context, Model
from ponder.engines.embedded.embedder import Embedder
from ponder.engines.embedded.engine import Embedded
from ponder.engines.embedded.memory import layout, processors, token_bytes
from ponder.engines.embedded.scheduler import ROWS, Scheduler
from ponder.engines.embedded.vocabulary import Vocabulary

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence


N_BATCH = 512
EMBEDDED = 2048
"""Tokens of a text to embed, at most: they are computed at once."""
MOVABLE = 256 << 20
"""Bytes of a sequence's cells up to which it is moved to close a gap. llama.cpp computes neighbouring sequences
in one pass and makes another for each gap; a copy of 48 MB takes 7 ms, another pass of SmolLM2 twice that."""


class LlamaCpp(Embedded):
    """A GGUF model, loaded when it is made, with one thread that runs it.

    Calls from any number of tasks share each step of the model, and whatever prefixes they share is read once.
    What one call samples is its own, but the last digits of its logits depend on the calls beside it; so the
    same seed gives the same text only where the timing is the same. What was sampled is in `token_ids`.
    With `deterministic` each step has the same shape, and a prefix and a seed give the same tokens and the same
    log-probabilities to the last bit, whatever the timing and the neighbours: on one machine, with one number
    of threads and of sequences.

    Args:
        path: a .gguf file.
        context: the most tokens a prompt and its answer may have; by default what the model was trained with,
            2,048 at most.
        sequences: calls that run at once, at most, and prefixes that are remembered. Fewer where the memory
            that is free now would not hold them; `sequences` tells how many there are.
        threads: of the processor; by default all that this process may use.
        flash_attn: compute attention the faster way, on most machines (see `embedded.tuning`).
        name: by default what the file says.
        deterministic: the same results whatever runs beside. A step then costs as if all `sequences` were in
            use, and prompts are read 64 tokens at a time, one after the other.

    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        context: int | None = None,
        sequences: int = 32,
        threads: int | None = None,
        flash_attn: bool = True,
        name: str | None = None,
        deterministic: bool = False,
    ) -> None:
        """Load the model.

        Raises:
            ModelFileError: no such file, or no model file, or one that is cut short.
            EngineError: it cannot be loaded here, for example for lack of memory.

        """
        try:
            model = Model(path)
        except ValueError as error:
            raise ModelFileError(str(error)) from error
        except (BindingMismatch, RuntimeError) as error:
            raise EngineError(str(error)) from error
        try:
            n_ctx, n_seq = layout(model, context=context, sequences=sequences)
            gathers = (
                not deterministic and 1 < n_seq < MAX_SEQUENCES and n_ctx * token_bytes(model) <= MOVABLE
            )
            cells = Context(
                model,
                n_ctx=n_ctx * (n_seq + gathers),
                n_seq_max=n_seq + gathers,
                n_batch=N_BATCH,
                n_ubatch=N_BATCH,
                n_outputs_max=n_seq + ROWS,
                threads=threads or processors(),
                flash_attn=flash_attn,
            )
            vocabulary = Vocabulary(model)
        except (ValueError, BindingMismatch) as error:
            model.close()
            raise EngineError(
                f"{error} Perhaps memory is short: give a smaller context= or sequences=."
            ) from error
        except BaseException:
            model.close()
            raise

        def free() -> None:
            vocabulary.close()
            model.close()

        self._embedder = Embedder(model, most=min(cells.n_ctx_seq, EMBEDDED), threads=threads or processors())
        super().__init__(
            vocabulary,
            Scheduler(cells, free, gathers=gathers, alike=deterministic),
            name=name or model.name or Path(path).stem,
            context=cells.n_ctx_seq - deterministic,
            sequences=n_seq,
        )

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The mean of each text's last hidden states. Special tokens are not recognised in them.

        Raises:
            UsageError: a text without a token, for a model that puts none in front.
            ContextOverflow: a text longer than the context, or than 2,048 tokens.

        """
        self._scheduler.check()
        read = [self._vocabulary.plain(text) for text in texts]
        for ids in read:
            if not ids:
                raise UsageError("An empty text has no embedding. Leave it out.")
            if len(ids) > self._embedder.most:
                raise ContextOverflow(
                    f"A text has {len(ids):,} tokens, and this engine embeds {self._embedder.most:,} at most. "
                    "Cut it into parts."
                )
        return [await self._scheduler.run(partial(self._embedder.mean, ids)).wait() for ids in read]
