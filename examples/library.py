"""The library without a server: a vote, best-of-n, and the events of a run.

python examples/library.py [MODEL]
"""

import sys

import ponder
from ponder.core.events import Event

model = ponder.load(sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m")
question = "What is 17 + 48 - 29?"

vote = ponder.solve(question, "self-consistency:n=8,max_tokens=48", model=model, budget="1k", seed=1)
print(
    "vote:     ",
    vote.answer,
    dict(vote.choice.votes) if vote.choice else {},
    f"{vote.usage.completion} tokens",
)

best = ponder.solve(question, "best-of-n:n=4,max_tokens=48", model=model, budget="1k,60s", seed=1)
print("best of 4:", best.answer, f"{best.usage.completion} tokens, stopped by {best.stop}")

kinds: dict[str, int] = {}


def count(event: Event) -> None:
    """Everything that a run does is an event: a call begins, ends, is scored."""
    kinds[event.kind] = kinds.get(event.kind, 0) + 1


ponder.solve(question, "adaptive-consistency:n=8,max_tokens=48", model=model, budget="1k", watchers=[count])
print("events:   ", kinds)
