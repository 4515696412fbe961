"""A small model that solves Countdown and takes back wrong lines, trained from nothing on one processor core."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from ponder.core.errors import UsageError
from ponder.evals.countdown import Countdown
from ponder.training.examples import examples
from ponder.training.vocabulary import tokenizer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from ponder.training.examples import Example

SMALL: Final = Countdown(high=15, last=75, largest=225)
"""Puzzles that a model of half a million parameters learns within minutes."""

IGNORED: Final = -100
"""The label of a token that is not learnt."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. The same recipe gives the same model, on the same processor and version of torch.

    Args:
        family: of the puzzles.
        share: of the examples that go wrong; with 0 it is trained on solutions alone.
        steps, batch: examples are `steps * batch`, each seen once.
        rate: the highest learning rate, after a tenth of the steps; it falls to 0 as a cosine.
        decay: of the weights.
        layers, width, inner, heads: of a decoder in Llama's shape.
        seed: of the weights.

    """

    family: Countdown = SMALL
    share: float = 0.5
    steps: int = 1_500
    batch: int = 128
    rate: float = 2e-3
    decay: float = 0.01
    layers: int = 4
    width: int = 96
    inner: int = 256
    heads: int = 4
    seed: int = 0

    def train(self, tell: Callable[[int, float], None] = lambda _step, _loss: None) -> tuple[Any, Any]:
        """The model and its tokenizer. `tell` hears the loss of every step, in nats a learnt token.

        Raises:
            UsageError: torch and transformers are not installed.

        """
        torch = _torch()
        torch.manual_seed(self.seed)
        words = tokenizer(self.family.largest)
        model = self._model(words)
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=self.rate, weight_decay=self.decay, betas=(0.9, 0.98)
        )
        source = examples(self.family, self.share)
        for step in range(self.steps):
            ids, labels = batch(list(islice(source, self.batch)), words)
            for group in optimiser.param_groups:
                group["lr"] = self.rate * self._schedule(step)
            loss = model(input_ids=torch.tensor(ids), labels=torch.tensor(labels)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            tell(step, float(loss.detach()))
        return model.eval(), words

    def save(
        self,
        folder: str | os.PathLike[str],
        tell: Callable[[int, float], None] = lambda _step, _loss: None,
    ) -> None:
        """Train, and write what `ponder.engines.transformers.Transformers.load` opens."""
        for part in self.train(tell):
            part.save_pretrained(folder)

    def _schedule(self, step: int) -> float:
        warm = max(1, self.steps // 10)
        if step < warm:
            return (step + 1) / warm
        return (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm))) / 2

    def _model(self, words: Any) -> Any:
        from transformers import LlamaConfig, LlamaForCausalLM

        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(words),
                hidden_size=self.width,
                intermediate_size=self.inner,
                num_hidden_layers=self.layers,
                num_attention_heads=self.heads,
                max_position_embeddings=words.model_max_length,
                tie_word_embeddings=True,
                bos_token_id=None,
                eos_token_id=words.eos_token_id,
                pad_token_id=words.pad_token_id,
            )
        )


def batch(chosen: Sequence[Example], words: Any) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids and labels of examples, filled up at the end to one length.

    Each ends with end-of-text, which is learnt; what is not, and what fills up, has the label `IGNORED`.
    """
    rows, end = [], words.eos_token_id
    for example in chosen:
        read = words(example.text, add_special_tokens=False, return_offsets_mapping=True)
        learnt = example.learnt(read["offset_mapping"])
        labels = [i if wanted else IGNORED for i, wanted in zip(read["input_ids"], learnt, strict=True)]
        rows.append(([*read["input_ids"], end], [*labels, end]))
    longest = max(len(ids) for ids, _ in rows)
    return (
        [ids + [end] * (longest - len(ids)) for ids, _ in rows],
        [labels + [IGNORED] * (longest - len(labels)) for _, labels in rows],
    )


def _torch() -> Any:
    try:
        import torch
        import transformers  # noqa: F401 - asked for here, so that the advice comes before the work
    except ImportError as error:
        raise UsageError(
            f"Training needs torch and transformers ({error}). Install them: pip install 'ponder[training]'"
        ) from error
    return torch
