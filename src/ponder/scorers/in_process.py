"""Reward models of the transformers library, run in this process; what was read before is not read again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread

from ponder.core.errors import BadScore, ModelFileError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.thinking.reward_formats import Format

    Kept = list[tuple[Any, Any]]  # keys and values of each layer, of one text

KEPT: Final = 64
"""Texts whose keys and values are kept, the last ones read."""


@dataclass(slots=True)
class _Known:
    """A text that was read: its tokens, its keys and values, and the hidden state at each place of a value."""

    ids: tuple[int, ...]
    kept: Kept
    states: dict[int, Any]


@dataclass(slots=True)
class _Text:
    ids: tuple[int, ...]
    places: tuple[int, ...]
    known: _Known | None
    since: int  # tokens that are known
    tokens: int
    read: int = 0


class InProcess:
    """A reward model with the layout of its family.

    It is opened when it is first asked. No code that comes with a model is run: where the family's head is not one of
    the library's, its weights are read from the safetensors files (`score.0`, `score.2` of Qwen2.5-Math-PRM;
    `v_head.summary` of Skywork's).

    Args:
        form: the layout.
        model: a folder, or a hub name.

    """

    def __init__(self, form: Format, model: str) -> None:
        self._form = form
        self._name = model
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[int, ...], _Known] = OrderedDict()
        self._model: Any = None
        self._tokenizer: Any = None
        self._base: Any = None
        self._head: Any = None
        self.read = 0  # tokens that went through the model

    async def prepare(self, question: str, steps: Sequence[str]) -> _Text:
        return await anyio.to_thread.run_sync(self._prepare, question, list(steps))

    async def values(self, readings: Sequence[_Text]) -> list[list[float]]:
        """The values of each text, in order; those of which nothing is known go through the model side by side."""
        return await anyio.to_thread.run_sync(self._values, list(readings), abandon_on_cancel=True)

    # -- in a thread ----------------------------------------------------------------------------------------

    def _prepare(self, question: str, steps: list[str]) -> _Text:
        with self._lock:
            if self._model is None:
                self._open()
            ids, places = self._encode(question, steps)
            if len(places) != (1 if self._form.name == "outcome" else len(steps)):
                raise BadScore(
                    f"The text holds {len(places)} places of the format {self._form.name} for {len(steps)} steps. "
                    "Does a step hold the model's own step tag?"
                )
            known, since = self._longest(ids, places)
            return _Text(ids, places, known, since, len(ids) - since)

    def _encode(self, question: str, steps: list[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The tokens, and the places whose hidden states tell the values."""
        form, tokenizer = self._form, self._tokenizer
        if form.name == "rlhflow":
            turns = form.turns(question, steps)
            whole = self._rendered(turns[:-1], more=True)
            places = []
            for i in range(1, len(turns), 2):
                asked = self._rendered(turns[:i], more=True)
                if whole[: len(asked)] != asked:
                    raise BadScore(
                        f"The chat template of {self._name} changes earlier turns as a conversation grows."
                    )
                places.append(len(asked) - 1)
            return tuple(whole), tuple(places)
        if form.name == "outcome":
            ids = self._rendered(form.turns(question, steps), more=False)
            return tuple(ids), (len(ids) - 1,)
        if form.name == "skywork":
            head, *lines = form.text(question, steps).rstrip("\n").rsplit("\n", len(steps))
            ids = tokenizer.encode(f"{head}\n")
            end = tokenizer.encode("\n", add_special_tokens=False)[-1]
            places = []
            for line in lines:
                ids += [*tokenizer.encode(line, add_special_tokens=False), end]
                places.append(len(ids) - 1)
            return tuple(ids), tuple(places)
        ids = tokenizer.encode(form.text(question, steps), add_special_tokens=form.name != "qwen")
        tag = tokenizer.encode(form.tag, add_special_tokens=False)[-1]
        places = [i for i, token in enumerate(ids) if token == tag]
        if len(places) == len(steps):
            ids = ids[: places[-1] + 1]  # what comes after the last tag changes no value
        return tuple(ids), tuple(places)

    def _rendered(self, turns: list[dict[str, str]], *, more: bool) -> list[int]:
        text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=more)
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def _longest(self, ids: tuple[int, ...], places: Sequence[int]) -> tuple[_Known | None, int]:
        """The text read before that shares the longest beginning, and how many tokens of it can stay."""
        best, most = None, 0
        for known in reversed(self._known.values()):
            shared = _shared(ids, known.ids)
            # A place in what stays must have been a place before.
            missing = [p for p in places if p < shared and p not in known.states]
            shared = min([shared, *missing])
            if shared > most:
                best, most = known, shared
        return best, most

    def _values(self, readings: list[_Text]) -> list[list[float]]:
        import torch

        with self._lock, torch.inference_mode():
            fresh = [text for text in readings if text.known is None]
            states: dict[int, dict[int, Any]] = {}
            if fresh:
                for text, found in zip(fresh, self._forward(fresh), strict=True):
                    states[id(text)] = found
            for text in readings:
                if text.known is not None:
                    states[id(text)] = self._forward_more(text, text.known)
            return [self._read([states[id(text)][p] for p in text.places]) for text in readings]

    def _forward(self, texts: list[_Text]) -> list[dict[int, Any]]:
        """All at once, padded on the right, where a causal model does not see it."""
        import torch
        from transformers import DynamicCache

        width, cache = max(len(text.ids) for text in texts), DynamicCache()
        ids = torch.tensor([[*text.ids, *([0] * (width - len(text.ids)))] for text in texts])
        mask = torch.tensor([[1] * len(text.ids) + [0] * (width - len(text.ids)) for text in texts])
        hidden = self._hidden(ids, mask, cache)
        found = []
        for row, text in enumerate(texts):
            text.read = len(text.ids)
            self.read += text.read
            states = {p: hidden[row, p].clone() for p in text.places}
            kept = [
                (
                    layer.keys[row : row + 1, :, : len(text.ids)].clone(),
                    layer.values[row : row + 1, :, : len(text.ids)].clone(),
                )
                for layer in cache.layers
            ]
            self._keep(_Known(text.ids, kept, states))
            found.append(states)
        return found

    def _forward_more(self, text: _Text, known: _Known) -> dict[int, Any]:
        """Only what is new."""
        import torch
        from transformers import DynamicCache

        states = {p: state for p, state in known.states.items() if p < text.since and p in text.places}
        text.read = len(text.ids) - text.since
        if not text.read:
            return states
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(known.kept):
            cache.update(keys[:, :, : text.since], values[:, :, : text.since], layer)
        mask = torch.ones(1, len(text.ids), dtype=torch.long)
        new = self._hidden(torch.tensor([text.ids[text.since :]]), mask, cache)[0]
        self.read += text.read
        states |= {p: new[p - text.since].clone() for p in text.places if p >= text.since}
        kept = [(layer.keys, layer.values) for layer in cache.layers]
        self._keep(_Known(text.ids, kept, states))
        return states

    def _hidden(self, ids: Any, mask: Any, cache: Any) -> Any:
        """The last hidden states; the cache grows by the tokens."""
        return self._base(input_ids=ids, attention_mask=mask, cache=cache, use_cache=True).last_hidden_state

    def _keep(self, known: _Known) -> None:
        self._known[known.ids] = known
        self._known.move_to_end(known.ids)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)

    def _read(self, states: list[Any]) -> list[float]:
        """The values at some hidden states."""
        import torch

        logits = self._head(torch.stack(states)).float()
        if self._form.good:
            words = [self._word(word) for word in (self._form.good, self._form.bad)]
            values = logits[:, words].softmax(-1)[:, 0]
        elif self._form.name == "qwen":
            values = logits.softmax(-1)[:, 1]
        elif self._form.name == "skywork":
            values = logits[:, 0].sigmoid()
        else:
            values = logits[:, 0]
        return [float(v) for v in values]

    def _word(self, word: str) -> int:
        return int(self._tokenizer.encode(word, add_special_tokens=False)[-1])

    # -- opening --------------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            import transformers
        except ImportError as error:
            raise UsageError(
                "A reward model in this process needs the transformers library. Install it: pip install "
                "'ponder[transformers]'; or name a server with url=."
            ) from error
        kinds = {"outcome": transformers.AutoModelForSequenceClassification}
        if self._form.good:
            kind = transformers.AutoModelForCausalLM
        else:
            kind = kinds.get(self._form.name, transformers.AutoModel)
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(self._name, trust_remote_code=False)
            model, told = kind.from_pretrained(
                self._name, trust_remote_code=False, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelFileError(f"Cannot load the reward model {self._name}: {error}") from error
        if lacking := [*told.get("missing_keys", ()), *told.get("mismatched_keys", ())]:
            raise ModelFileError(
                f"{self._name} lacks weights, among them {lacking[0]}. Is it a reward model?"
            )
        model.eval()
        if self._form.good:
            self._base, self._head = model.base_model, model.get_output_embeddings()
        elif self._form.name == "outcome":
            self._base, self._head = model.base_model, model.score
        else:
            self._base, self._head = model, self._own_head()
        self._model = model

    def _own_head(self) -> Any:
        """The head of a family that the library does not know, from the weights beside the model."""
        import torch

        names = ("score.0", "score.2") if self._form.name == "qwen" else ("v_head.summary",)
        weights = self._weights([f"{name}.{part}" for name in names for part in ("weight", "bias")])
        layers: list[Any] = []
        for name in names:
            weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
            linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
            linear.load_state_dict({"weight": weight.float(), "bias": bias.float()})
            layers += [*([torch.nn.ReLU()] if layers else []), linear]
        return torch.nn.Sequential(*layers).eval()

    def _weights(self, names: Sequence[str]) -> dict[str, Any]:
        from safetensors import safe_open

        folder = Path(self._name)
        if not folder.is_dir():
            from huggingface_hub import snapshot_download

            folder = Path(snapshot_download(self._name, allow_patterns=["*.safetensors", "*.json"]))
        found: dict[str, Any] = {}
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, framework="pt") as weights:
                found |= {name: weights.get_tensor(name) for name in names if name in weights.keys()}  # noqa: SIM118
        if lacking := [name for name in names if name not in found]:
            raise ModelFileError(
                f"{self._name} has no weights {lacking[0]}. Is its format {self._form.name}?"
            )
        return found


def _shared(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    n = min(len(a), len(b))
    if a[:n] == b[:n]:
        return n
    return next(i for i in range(n) if a[i] != b[i])
