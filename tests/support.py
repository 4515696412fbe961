"""What several tests share: runs on the scripted engine, on trio's virtual clock."""

import json
import math
import random
import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import anyio.lowlevel
import trio
import trio.testing

from ponder import Budget, EngineError, Problem, Score, TransientError, UsageError
from ponder.core.events import Event
from ponder.core.executions import Execution
from ponder.core.protocols import Ability
from ponder.engines.scripted import Scripted
from ponder.runtime._schemas import misfit
from ponder.runtime.solve import solve
from ponder.scorers import ByName
from ponder.strategies import parse
from ponder.thinking import answers

PATIENT = 60.0
"""Seconds that one answer may take where the test is not about that: a busy machine may leave a worker alone for many."""
SCORERS = ByName()
QUESTION = Problem.of("What is 6 * 7?", "math")


class Keys:
    """The pure part of equality: enough for scripted answers, and no process to start."""

    async def keys(self, given, kind="auto"):
        for _ in range(sum(map(len, given)) % 3):  # as the real one may, and for longer for some
            await anyio.lowlevel.checkpoint()
        return [answers.key(a, kind) or f"text:{a}" for a in given]


class Forms:
    """What keeps to a schema and what does not, without a process."""

    async def misfit(self, value, schema):
        await anyio.lowlevel.checkpoint()
        try:
            return misfit(json.dumps(schema), value)
        except ValueError as error:
            raise UsageError(f"The JSON schema cannot be used: {error}. Change it.") from None


class Pretending:
    """A sandbox that runs nothing: a program gives the last whole number in it, whatever the input."""

    name = "pretending"

    async def execute(self, program, inputs):
        await anyio.lowlevel.checkpoint()
        numbers = re.findall(r"\d+", program)
        one = Execution(output=numbers[-1]) if numbers else Execution(error="ValueError: no number")
        return [one for _ in inputs]


class Flaky:
    """An engine that fails now and then, and sometimes only after it has written."""

    def __init__(self, engine, share, seed=0):
        self.engine, self.share, self.rng = engine, share, random.Random(seed)
        self.failures = 0

    @property
    def capabilities(self):
        return self.engine.capabilities

    def count(self, prefix):
        return self.engine.count(prefix)

    def encode(self, text):
        return self.engine.encode(text)

    async def extend(self, prefix, sampling, watch=None):
        fate = self.rng.random()
        if fate < self.share / 2:
            self.failures += 1
            raise TransientError("The server hung up.")
        segment = await self.engine.extend(prefix, sampling, watch)
        if fate < self.share:
            self.failures += 1
            raise EngineError("The connection broke at the end.")
        return segment


def virtual(job, *args, seconds=3600.0):
    """Run on trio's clock, which jumps: nothing sleeps, and what would hang for an hour fails."""

    async def main():
        with trio.fail_after(seconds):
            return await job(*args)

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def attempt(
    strategy, engine, budget=None, *, seed=0, problem=QUESTION, scorers=SCORERS, sandbox=None, **more
):
    """One run; returns its result and its events."""
    events: list[Event] = []
    result = await solve(
        problem,
        parse(strategy) if isinstance(strategy, str) else strategy,
        engine if isinstance(engine, Mapping) else {"solver": engine},
        equality=Keys(),
        scorers=scorers,
        budget=Budget.parse(budget) if isinstance(budget, str) else budget,
        seed=seed,
        watchers=[events.append],
        sandbox=sandbox or Pretending(),
        **more,
    )
    return result, events


class Judge:
    """A scorer that is a function of the text, and counts what it is asked."""

    name = "judge"
    needs: frozenset[Ability] = frozenset()

    def __init__(self, value):
        self.value, self.asked = value, 0

    async def score(self, problem, paths, run):
        self.asked += len(paths)
        return [Score(self.value(path.text)) for path in paths]


def searched(strategy, script, value, budget=None, seed=0, **options):
    """What a search decides whose scorer is a function of the text: its result, its events and its engine."""
    engine = script if hasattr(script, "extend") else Scripted(script, **options)
    scorers = {"judge": Judge(value)}
    if isinstance(strategy, str):
        strategy = f"{strategy}{',' if ':' in strategy else ':'}scorer=judge"
    result, events = virtual(partial(attempt, scorers=scorers, seed=seed), strategy, engine, budget)
    return result, events, engine


def close(share, expected, runs):
    """Within 3.5 standard errors; the seeds are fixed, so this either always holds or never."""
    return abs(share - expected) <= 3.5 * math.sqrt(max(expected * (1 - expected), 1e-9) / runs) + 1e-9


def nodes(events: Sequence[Event]):
    """What must be the same for the same seed: each call's place, its parent and its text."""
    return sorted((e.place, e.parent, e.text) for e in events if e.kind == "extended")


def running(pid, within=300):
    """Whether a process is still at work after a while. One that is dead and not yet collected is not."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        time.sleep(0.02)
    return True
