"""Where a text stands that is already written, by the model or by a strategy: what the next token depends on.

Only the text counts, not in how many calls it was written. Words that the model would not have written there are
passed over up to the first of these, and it goes on after that:

* "Wait", "Hmm" or "Alternatively": it states the running value anew;
* "the answer is" and the like, "Final Answer:", "####" or a box: it gives the answer;
* a paragraph break: the next step. Where there is none of these, it begins a new line itself.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from ponder.evals.simulated.chain import CHECK
from ponder.evals.simulated.options import Spot

if TYPE_CHECKING:
    from ponder.evals.simulated.chain import Chain, Guess
    from ponder.evals.simulated.options import Where

FILLERS: Final = (" hm", " um", " erm")
"""Said where a bias or `min_tokens` forbids all that the model would say; they change nothing in what follows."""

NUDGE: Final = " Wait"
"""Said where the text is at its end and end-of-text is held off."""

_FILLER = re.compile("|".join(FILLERS))
_SPACE = re.compile(r"\s+")
_MARK = re.compile(
    rf"""(?x)
      (?P<check> (?<![A-Za-z]) (?:Wait|Hmm|Alternatively) (?![A-Za-z]) )
    | (?P<checking> C{re.escape(CHECK)} )
    | (?P<answer> (?i: \banswers?\b [^.\n]{{0,40}}? \b(?:is|are)\b :? | \bfinal[ ]answer: ) ) (?P<space> \s* )
    | (?P<marked> \#\#\#\# ) (?P<gap> \s* )
    | (?P<boxed> \\boxed\{{ )
    | (?P<line> \n\n )
    """
)


def stand(chain: Chain | Guess, text: str) -> Spot:
    """Where the text of a path stands, everything after its prompt."""
    spot, at = chain.start, 0
    while at < len(text):
        followed = _follow(chain, spot, text, at)
        if followed is not None:
            spot, at = followed
        elif skipped := _skip(text, at):
            at = skipped
        else:
            mark = _MARK.search(text, at)
            if mark is None:
                return _resumed(chain, spot, text)
            spot, at = _marked(chain, spot, mark), mark.end()
    return spot


def nudged(spot: Spot) -> Spot:
    """After a "Wait"."""
    return Spot(f", c{CHECK}", "check", spot.step, spot.slip)


def said(chain: Chain | Guess, spot: Spot, token: str) -> tuple[Spot, float] | None:
    """Where a token leads and its log-probability; None where the model would not say it."""
    log, at = 0.0, 0
    while at < len(token):
        if spot.rest:
            followed = _follow(chain, spot, token, at)
        else:
            options = chain.options(spot)
            left = token[at:]
            able = [
                math.exp(value)
                for (option, _), value in zip(options.told, options.logs, strict=True)
                if option and (left.startswith(option) or option.startswith(left))
            ]
            log += math.log(math.fsum(able)) if able else 0.0
            followed = _follow(chain, spot, token, at)
        if followed is None:
            return None
        spot, at = followed
    return spot, min(log, 0.0)


def _follow(chain: Chain | Guess, spot: Spot, text: str, at: int) -> tuple[Spot, int] | None:
    """The next certain piece or choice of a text that keeps its course; None where it leaves it."""
    if spot.rest:
        if text.startswith(spot.rest, at):
            return spot._replace(rest=""), at + len(spot.rest)
        left = text[at:]
        return (spot._replace(rest=spot.rest[len(left) :]), len(text)) if spot.rest.startswith(left) else None
    options = chain.options(spot)
    for option, then in options.told:
        if option and text.startswith(option, at):
            return then, at + len(option)
    left = text[at:]
    if any(option.startswith(left) for option, _ in options.told):
        return spot._replace(begun=spot.begun + left), len(text)
    return None


def _skip(text: str, at: int) -> int | None:
    """The end of a filler, or of space at the beginning of a line."""
    if filler := _FILLER.match(text, at):
        return filler.end()
    space = _SPACE.match(text, at) if at and text[at - 1] == "\n" else None
    return space.end() if space else None


def _marked(chain: Chain | Guess, spot: Spot, mark: re.Match[str]) -> Spot:
    """Where a text stands after a mark."""
    if mark["line"]:
        return chain.again(spot)
    if mark["check"]:
        return nudged(spot)
    where: Where = "check" if mark["checking"] else "boxed"
    if mark["answer"]:
        where = "spaced" if mark["space"] else "answer"
    elif mark["marked"]:
        where = "bare" if mark["gap"] else "marked"
    return Spot("", where, spot.step, spot.slip)


def _resumed(chain: Chain | Guess, spot: Spot, text: str) -> Spot:
    """A new line, of which the text may have begun a part."""
    resumed = chain.again(spot)
    rest = (" " if resumed.where == "check" else "\n\n") + resumed.rest
    begun = next(n for n in range(len(rest) - 1, -1, -1) if text.endswith(rest[:n]))
    return resumed._replace(rest=rest[begun:])
