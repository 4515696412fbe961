"""The laws every engine keeps, to run on any engine: `await check_engine(engine)`.

Laws of text (`_laws_of_text`): lengths, stops, tokens, prompts. Laws of chance (`_laws_of_chance`): seeds,
log-probabilities, biases. Laws of calls (`_laws_of_calls`): watching, cancelling, side by side, closing.
Every segment drawn for any of them is held to what each segment must be (`_bench`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.core.errors import Unsupported
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.engines import _laws_of_calls, _laws_of_chance, _laws_of_text
from ponder.engines._bench import LAWS, Bench, LawBroken, Skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.protocols import Engine

__all__ = ["LawBroken", "check_engine"]

_ENTERED = (_laws_of_text, _laws_of_chance, _laws_of_calls)

CHAT = (
    Prompt((Message("user", "What is 17 + 25? Think step by step."),)),
    Prompt((Message("system", "Be brief."), Message("user", "Name three colours and say why."))),
)
RAW = Prompt(raw="The first ten numbers are one, two,")


async def check_engine(
    engine: Engine,
    *,
    prompts: Sequence[Prompt] | None = None,
    tokens: int = 24,
    greedy: bool = True,
    exact: bool = True,
    close: bool = False,
    tolerance: float = 0.02,
) -> list[str]:
    """Hold an engine to its laws; returns which were checked and which were skipped, and why.

    Args:
        engine: any engine; what `capabilities` says it cannot do is not asked of it.
        prompts: that draw out more than a few tokens; by default two chats and a raw text.
        tokens: of each segment; 8 at least.
        greedy: whether the engine repeats itself, alone, at temperature 0.
        exact: whether a call gives the same text beside others as alone (with the same seed).
        close: also check that the engine says so once it is closed; it is of no use afterwards.
        tolerance: by how many nats log-probabilities of the same token may differ between two calls.

    Raises:
        LawBroken: with the law's name and what was seen.

    """
    if tokens < 8:
        raise ValueError(f"The laws need at least 8 tokens of each segment, not {tokens}.")
    bench = Bench(engine, tokens, greedy, exact, tolerance)
    report: list[str] = []
    for prompt in prompts or (*CHAT, RAW):
        bench.law = "prompts"
        try:
            base = await bench.draw(Prefix(prompt))
        except Unsupported as error:
            if prompt is not RAW:
                raise
            report.append(f"skipped: raw prompts ({error})")
            continue
        bench.bases.append((Prefix(prompt), base))
    report.append("checked: every segment (usage, ids, ends, finish, deltas, stops, prompts)")
    for law in LAWS:
        bench.law = law.name
        missing = sorted(law.needs - bench.can)
        try:
            if missing:
                raise Skip(f"cannot: {', '.join(missing)}")
            await law.check(bench)
        except Skip as why:
            report.append(f"skipped: {law.name} ({why})")
        else:
            report.append(f"checked: {law.name}")
    bench.law = "closing"
    if close:
        await _laws_of_calls.closing(bench)
    report.append("checked: closing" if close else "skipped: closing (not asked for)")
    return report
