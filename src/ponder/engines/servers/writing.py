"""One segment while a server writes it: parts in, a segment out. Pure but for the watch that it calls."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from ponder.core.calls import Usage
from ponder.core.prefix import Segment
from ponder.core.problem import Message
from ponder.core.protocols import Delta
from ponder.engines.servers.reading import MOST_TOOLS, Garbled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Finish
    from ponder.core.protocols import Watch
    from ponder.engines.servers.reading import Part


class Gap(NamedTuple):
    """Tokens of which only the last was told: llama-server sends a character's tokens when it is complete.

    `at` is where that one stands among the ids, `start` where `text`, which they wrote, begins.
    """

    at: int
    text: str
    last: int
    tokens: int
    start: int


class Writing:
    """One choice.

    Args:
        sampling: as it was asked for.
        keeps_stop: the server stops at stop strings, leaves them in and says which it was. Otherwise we look for
            them, and `over` tells when to leave.
        exact: a server's pieces are never more than the tokens that it counts.
        ids: token ids are wanted.
        watch: is called with each part, until it says False.
        earlier: what the same call wrote before, in which a stop string may have begun.
        by_id: stops at ids are looked for here.

    """

    def __init__(
        self,
        sampling: Sampling,
        *,
        keeps_stop: bool,
        exact: bool,
        ids: bool,
        watch: Watch | None = None,
        earlier: str = "",
        by_id: bool = False,
    ) -> None:
        self._sampling, self._watch = sampling, watch
        self._stop_ids = frozenset(sampling.stop_ids if by_id else ())
        self._keeps_stop, self._exact, self._wants_ids = keeps_stop, exact, ids
        # In the order in which they came: to add them up as they come takes squared time.
        self._texts: list[str] = []
        self._length = 0
        self._most_of_stop = max(map(len, sampling.stop), default=1) - 1
        self._tail = self._end_of(earlier)  # in which a stop string may have begun
        self.tokens = 0
        self.finish: Finish | None = None
        self.left = False  # before the server was done
        self._stopped_by: str | None = None
        self._ids: list[int] = []
        self._ends: list[int] | None = []
        self._logs: list[float] = []
        self._tops: list[tuple[tuple[int, float], ...]] = []
        self._reasonings: list[str] = []
        self._tools: list[dict[str, Any]] = []
        self._told = False  # its tokens are counted by ids, log-probabilities or the server, not by pieces
        self.pieces: dict[int, str] = {}  # the text of the tokens that came alone
        self.gaps: list[Gap] = []
        self._mended: list[Gap] = []  # all before the next, for they are mended in order

    @property
    def text(self) -> str:
        """All that was written."""
        self._texts = ["".join(self._texts)]
        return self._texts[0]

    @property
    def over(self) -> bool:
        return self.finish is not None

    @property
    def told(self) -> bool:
        """Whether its tokens are counted by more than its pieces."""
        return self._told

    @property
    def most(self) -> int:
        return self._sampling.max_tokens

    def add(self, part: Part) -> None:
        """Take one part.

        Raises:
            Garbled: it cannot follow what came before.

        """
        if self.over:
            if not part.bare:
                raise Garbled("went on after the end")
            return
        new = self._count(part)
        text = self._written(part)
        self._texts.append(text)
        self._length += len(text)
        self.tokens += new
        if part.reasoning:
            self._reasonings.append(part.reasoning)
        for tool in part.tools:
            _join(self._tools, tool)
        self._logs += part.logprobs or ()
        self._tops += part.tops or ()
        if part.ids:
            self._place(part, text, new)
        by = self._found(text) if self._sampling.stop else None
        if by is not None and self._keeps_stop and part.ended != "stop":
            by = None
        if by is not None:
            self._stop(by, len(text), server=part.ended is not None)
            text = text[: len(text) - self._cut] if self._cut else text
        elif part.ids and part.ids[-1] in self._stop_ids:
            self.finish, self._stopped_by, self.left = "stop", text, part.ended is None
        elif part.ended is not None:
            self._end(part)
        self._show(text, new)

    _cut = 0

    def mend(self, gap: Gap, pieces: Sequence[tuple[int, bytes]]) -> None:
        """Put in the tokens of a gap, if these are them."""
        ids = [i for i, _ in pieces]
        if (
            len(ids) != gap.tokens
            or ids[-1] != gap.last
            or b"".join(p for _, p in pieces) != gap.text.encode()
        ):
            return
        at = gap.at + sum(g.tokens - 1 for g in self._mended)
        self._mended.append(gap)
        self._ids[at : at + 1] = ids
        if self._ends is not None:
            read = itertools.accumulate(piece for _, piece in pieces)
            self._ends[at : at + 1] = [gap.start + len(b.decode("utf-8", "ignore")) for b in read]

    def close(
        self, usage: Usage | None, seconds: float, prompt: int, reasoning: int | None = None
    ) -> Segment:
        """The segment. `usage` is the server's, of this choice; `prompt` is what the prompt is estimated to have;
        `reasoning` the tokens of what it thought, where the server tells that.

        Raises:
            Garbled: the server counted fewer tokens than it sent.

        """
        if self.finish is None:
            raise Garbled("ended before its end")
        most, estimated = self._sampling.max_tokens, usage is None
        tokens = self.tokens
        if usage is not None and not self.left:
            if usage.completion < tokens and self._exact:
                raise Garbled(f"sent {tokens} pieces and counted {usage.completion} tokens")
            estimated = not tokens <= usage.completion <= most
            tokens = min(most, max(tokens, usage.completion))
        elif not self._told:
            estimated = True
        if usage is None and self.finish == "length":
            tokens = most
        tokens = max(tokens, 1)
        if tokens > self.tokens:
            self._show("", tokens - self.tokens)
        ids, told = self._ids, self._sampling.logprobs
        whole = self._wants_ids and len(ids) == tokens
        # Where ids are not told, nothing is placed by them: chats count tokens that they do not show, the end of text and
        # the white space around JSON. llama-server sends a character of several tokens with what it knows of the last.
        least, logs, tops = tokens if whole and not self.gaps else 1, self._logs, self._tops
        return Segment(
            self.text,
            tuple(ids) if whole else None,
            tuple(self._ends) if whole and self._ends is not None and len(self._ends) == tokens else None,
            Usage(
                usage.prompt if usage else prompt,
                usage.cached if usage else 0,
                tokens,
                calls=1,
                seconds=seconds,
                estimated=estimated,
            ),
            finish=self.finish,
            stopped_by=self._stopped_by,
            logprobs=tuple(logs) if told is not None and least <= len(logs) <= tokens else None,
            top_logprobs=tuple(top[:told] for top in tops) if told and least <= len(tops) <= tokens else None,
            payload=self._payload(reasoning),
        )

    # -- inside ---------------------------------------------------------------------------------------------

    def _count(self, part: Part) -> int:
        """How many tokens a part carries."""
        if part.total is not None:
            new = part.total - self.tokens
            if new < 0 or (new == 0 and not part.bare):
                raise Garbled("sent a piece twice")
            self._told = True
        elif part.ids or part.logprobs:
            new = max(len(part.ids), len(part.logprobs or ()))
            self._told = True
        else:
            new = 0 if part.bare else 1
            return min(new, self._sampling.max_tokens - self.tokens)
        if self.tokens + new > self._sampling.max_tokens:
            raise Garbled(f"wrote more than the {self._sampling.max_tokens} tokens that it was asked for")
        return new

    def _written(self, part: Part) -> str:
        """The text of a part. A server cuts a text at the end of its stop string; whole tokens are kept."""
        if part.ended == "stop" and self._wants_ids and part.pieces:
            whole = "".join(part.pieces)
            if whole.startswith(part.text):
                return whole
        return part.text

    def _place(self, part: Part, text: str, new: int) -> None:
        """Where each token of a part ends, as far as that can be known."""
        if new > len(part.ids) == 1:
            self.gaps.append(Gap(len(self._ids), text, part.ids[0], new, self._length - len(text)))
        self._ids += part.ids
        if self._ends is None:
            return
        if len(part.ids) == 1:
            self._ends.append(self._length)
            self.pieces[part.ids[0]] = text
        elif part.pieces and "".join(part.pieces) == text and len(part.pieces) == len(part.ids):
            start = self._length - len(text)
            self._ends += [start + end for end in itertools.accumulate(map(len, part.pieces))]
        else:
            self._ends = None

    def _end_of(self, text: str) -> str:
        """As much of its end as may be the beginning of a stop string."""
        return text[-self._most_of_stop :] if self._most_of_stop else ""

    def _found(self, text: str) -> tuple[int, str] | None:
        """The stop string that begins first, if the newest text completed one, and where it begins."""
        found, last = [], self._tail + text
        self._tail = self._end_of(last)
        for order, stop in enumerate(self._sampling.stop):
            at = last.find(stop, max(0, len(last) - len(text) - len(stop) + 1))
            if at >= 0:
                found.append((self._length - len(last) + at, order, stop))
        if not found:
            return None
        at, _, stop = min(found)
        return at, stop

    def _stop(self, found: tuple[int, str], new: int, *, server: bool) -> None:
        at, stop = found
        self.finish, self._stopped_by, self.left = "stop", stop, not server
        end = at + len(stop)
        if not (self._wants_ids and self._ids):  # the rest of its token is not told from the next one
            self._cut = min(self._length - end, new)
            self._length -= self._cut
            self._texts = [self.text[: self._length]]

    def _end(self, part: Part) -> None:
        if part.ended == "failed":
            raise Garbled("ended in a way that is not known")
        if part.ended == "stop" or (part.ended == "eos" and part.by in self._sampling.stop_ids):
            self.finish = "stop"
            if isinstance(part.by, int):
                last = self.text[(0, *(self._ends or ()))[-2] :] if self._ends and len(self._ends) else None
                self._stopped_by = last if self._ends else None
            else:
                self._stopped_by = part.by
        else:
            self.finish = part.ended

    def _show(self, text: str, tokens: int) -> None:
        if self._watch is None or not (text or tokens):
            return
        if self._watch(Delta(text, tokens)) is False:
            self._watch = None
            # Who wanted no more than was asked for gets the end from the server, which is about to say it.
            if self.finish is None and self.tokens < self._sampling.max_tokens:
                self.finish, self.left = "cancelled", True

    def _payload(self, reasoning: int | None) -> Message | None:
        extra: dict[str, Any] = {"reasoning_tokens": reasoning} if reasoning else {}
        if self._reasonings:
            extra["reasoning"] = "".join(self._reasonings)
        if self._tools:
            extra["tool_calls"] = self._tools
        return Message("assistant", self.text, extra) if extra else None


def of_each(
    usage: Usage | None, n: int, writings: list[Writing], *, whole: bool = False
) -> list[Usage | None]:
    """What each of `n` choices cost, of what the server says of all: their sum is that.

    The prompt is the first one's, for it is read, and billed, once. Servers differ in whether they count the tokens of
    one choice or of all; where the pieces do not settle it, nothing is known of each. Of `whole` texts, whose tokens are not
    told, the count is of all: each gets its share by its length, and their sum is exact.
    """
    if usage is None:
        return [None] * n
    seen = [w.tokens for w in writings]
    if whole and not all(w.told for w in writings):
        if (shares := _shares(usage.completion, writings)) is None:
            return [None] * n
        seen = shares
    missing = usage.completion - sum(seen)
    ended = [w.finish == "eos" for w in writings]
    if 0 < missing == sum(ended):  # the ends of texts, which have no piece
        seen, missing = [tokens + end for tokens, end in zip(seen, ended, strict=True)], 0
    if missing:
        return [None] * n
    return [
        Usage(0 if i else usage.prompt, 0 if i else usage.cached, tokens) for i, tokens in enumerate(seen)
    ]


def _shares(total: int, writings: list[Writing]) -> list[int] | None:
    """So many tokens as so many texts may have: who was cut off has all it was allowed to. None if they do not fit."""
    cut = [w.finish == "length" for w in writings]
    left = total - sum(w.most for w, is_cut in zip(writings, cut, strict=True) if is_cut)
    found, room = [w.most if is_cut else 0 for w, is_cut in zip(writings, cut, strict=True)], left
    others = sorted((i for i, is_cut in enumerate(cut) if not is_cut), key=lambda i: -len(writings[i].text))
    weight = sum(len(writings[i].text) + 1 for i in others)
    for at, i in enumerate(others):
        size = len(writings[i].text) + 1
        fair = -(-room * size // weight) if weight else 0
        found[i] = max(1, min(writings[i].most, fair, room - (len(others) - at - 1)))
        room, weight = room - found[i], weight - size
    return None if room else found


def _join(tools: list[dict[str, Any]], more: Any) -> None:
    """Put the pieces of tool calls together, by their index."""
    at = more.get("index")
    at = min(len(tools) if at is None else at, MOST_TOOLS - 1)
    while len(tools) <= at:
        tools.append({"type": "function", "function": {"name": "", "arguments": ""}})
    tool, said = tools[at], more.get("function") or {}
    tool.update({k: v for k, v in more.items() if k not in ("index", "function") and v is not None})
    for key in ("name", "arguments"):
        tool["function"][key] += said.get(key) or ""
