"""An exact language model made of a distribution over whole texts: the mind of `engines.scripted`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from ponder.core.errors import UsageError
from ponder.core.prefix import Prefix, Segment

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Iterable

    from ponder.core.calls import Sampling

K = TypeVar("K")

Script = Callable[[Prefix], Mapping[str, float]]

EOS = 0
NEVER = -1000.0
"""The log-probability of what the script never says: exp of it is exactly 0.0, and JSON can carry it."""

BAN = -100.0
"""A logit bias this low or lower leaves no chance at all, as chat servers document it."""

_FILLER = " hm"  # said where a model may not end and its script has nothing left
_KEPT = 1024  # roots remembered
# Special tokens; words and digits with the space before them; paragraph breaks; anything else by itself.
_TOKEN = re.compile(r"<[|/]*\w+\|?>| ?[^\W\d_]+| ?\d|\n\n|.", re.DOTALL)


class Vocabulary:
    """Tokens and their ids, numbered as they are first seen. End-of-text is 0 and has no text."""

    def __init__(self) -> None:
        self.texts = [""]
        self._ids: dict[str, int] = {}

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(map(self._id, _TOKEN.findall(text)))

    def decode(self, ids: Iterable[int]) -> str | None:
        """The text of these ids; None if some are of another vocabulary."""
        known = len(self.texts)
        ids = tuple(ids)
        return "".join(self.texts[i] for i in ids) if all(0 <= i < known for i in ids) else None

    def _id(self, token: str) -> int:
        found = self._ids.get(token)
        if found is None:
            found = self._ids[token] = len(self.texts)
            self.texts.append(token)
        return found


class Node:
    """All utterances that begin with the same tokens; `logs` has the next token's log-probabilities."""

    __slots__ = ("_logs", "_ranked", "mass", "next")

    def __init__(self) -> None:
        self.mass = 0.0
        self.next: dict[int, Node] = {}
        self._logs: dict[int, float] | None = None
        self._ranked: tuple[tuple[int, float], ...] | None = None

    @property
    def logs(self) -> dict[int, float]:
        if self._logs is None:
            whole = math.fsum(child.mass for child in self.next.values())
            self._logs = {i: math.log(child.mass / whole) for i, child in self.next.items()}
        return self._logs

    @property
    def ranked(self) -> tuple[tuple[int, float], ...]:
        """The next tokens, likeliest first; ties in the order of the script."""
        if self._ranked is None:
            self._ranked = tuple(sorted(self.logs.items(), key=lambda item: -item[1]))
        return self._ranked


class Root:
    """What the script said at one point of a path."""

    __slots__ = ("node", "utterances")

    def __init__(self, utterances: Mapping[str, float], vocabulary: Vocabulary) -> None:
        if any(not 0 <= mass < math.inf for mass in utterances.values()) or not any(utterances.values()):
            raise UsageError(
                "A script must give at least one text a positive, finite probability, and none a negative."
            )
        self.utterances = {text: mass for text, mass in utterances.items() if mass > 0}
        self.node = Node()
        for text, mass in self.utterances.items():
            node = self.node
            node.mass += mass
            for i in (*vocabulary.encode(text), EOS):
                node = node.next.setdefault(i, Node())
                node.mass += mass


class Language:
    """Where a path stands in its script."""

    def __init__(self, script: Script, vocabulary: Vocabulary) -> None:
        self._script = script
        self._vocabulary = vocabulary
        self.texts = vocabulary.texts
        self._roots: dict[Prefix, Root] = {}
        self._alike: dict[tuple[tuple[str, float], ...], Root] = {}
        self.filler = vocabulary.encode(_FILLER)[0]

    def ids(self, segment: Segment) -> tuple[int, ...]:
        """The tokens of a segment, without end-of-text: its own ids where they are of this vocabulary."""
        ids = tuple(i for i in segment.token_ids or () if i != EOS)
        if segment.token_ids is not None and self._vocabulary.decode(ids) == segment.text:
            return ids
        return self._vocabulary.encode(segment.text)

    def stand(self, prefix: Prefix) -> Node:
        """The node reached by a path.

        Tokens lead from node to node. Where a strategy wrote what no utterance says in these tokens, the
        utterances that go on so as text are taken; where none does, the script is asked about the path
        up to there and its utterances are continuations.
        """
        root, since = self._root(Prefix(prefix.prompt)), ""
        node = root.node
        for n, segment in enumerate(prefix.segments):
            path = Prefix(prefix.prompt, prefix.segments[: n + 1])
            ids = self.ids(segment)
            here, anchor, said = node, root, since
            for j, i in enumerate(ids):
                step = here.next.get(i)
                if step is None and segment.sampled:  # it was kept from ending, see `beyond`
                    anchor, said = self._root(self._part(path, ids[:j])), ""
                    step = anchor.node.next.get(i)
                    if step is None and i == self.filler:
                        here = anchor.node
                        continue
                if step is None:
                    break
                here, said = step, said + self.texts[i]
            else:
                node, root, since = here, anchor, said
                continue
            since += segment.text
            rest = {u[len(since) :]: p for u, p in root.utterances.items() if u.startswith(since)}
            root, since = (Root(rest, self._vocabulary) if rest else self._root(path)), ""
            node = root.node
        return node

    def beyond(self, prefix: Prefix, written: tuple[int, ...]) -> Node:
        """Where a model goes on that may say nothing its script holds ready: the script is asked again."""
        path = prefix + Segment(self._vocabulary.decode(written) or "", token_ids=written)
        return self._root(path if written else prefix).node

    def _part(self, path: Prefix, ids: tuple[int, ...]) -> Prefix:
        before = Prefix(path.prompt, path.segments[:-1])
        if not ids:
            return before
        text = self._vocabulary.decode(ids) or ""
        return before + replace(path.segments[-1], text=text, token_ids=ids, finish="length")

    def _root(self, prefix: Prefix) -> Root:
        try:
            found = self._roots.get(prefix)
        except TypeError:  # a conversation with images cannot be hashed
            return self._made(self._script(prefix))
        if found is None:
            found = _keep(self._roots, prefix, self._made(self._script(prefix)))
        return found

    def _made(self, utterances: Mapping[str, float]) -> Root:
        """A root is made once, however many prompts have the same answers."""
        said = tuple(utterances.items())
        return self._alike.get(said) or _keep(self._alike, said, Root(utterances, self._vocabulary))


def _keep(roots: dict[K, Root], key: K, root: Root) -> Root:
    if len(roots) >= _KEPT:
        roots.pop(next(iter(roots)))
    roots[key] = root
    return root


def pick(node: Node, sampling: Sampling, held: Collection[int], rng: random.Random) -> int | None:
    """The next token; None where nothing that the script holds ready may be said."""
    bias = sampling.logit_bias
    if not bias and not held:
        if len(node.next) == 1 or (node.next and sampling.temperature == 0):
            return node.ranked[0][0]
        ranked = list(node.ranked)
    else:
        ranked = [
            (i, log + bias.get(i, 0.0)) for i, log in node.ranked if i not in held and bias.get(i, 0.0) > BAN
        ]
        ranked.sort(key=lambda item: -item[1])
    if not ranked:
        return None
    if len(ranked) == 1 or sampling.temperature == 0:
        return ranked[0][0]
    return _draw(ranked, sampling, rng)


def _draw(ranked: list[tuple[int, float]], sampling: Sampling, rng: random.Random) -> int:
    if sampling.top_k:
        del ranked[sampling.top_k :]
    best = ranked[0][1]
    masses = [math.exp(log - best) for _, log in ranked]
    if sampling.top_p < 1:
        enough, so_far, kept = sampling.top_p * math.fsum(masses), 0.0, 0
        while so_far < enough and kept < len(masses):
            so_far += masses[kept]
            kept += 1
        del masses[kept:]
    if sampling.min_p:
        masses = [mass for mass in masses if mass >= sampling.min_p]
    if sampling.temperature != 1:
        masses = [mass ** (1 / sampling.temperature) for mass in masses]
    point = rng.random() * math.fsum(masses)
    for (i, _), mass in zip(ranked, masses, strict=False):
        point -= mass
        if point < 0:
            return i
    return ranked[len(masses) - 1][0]
