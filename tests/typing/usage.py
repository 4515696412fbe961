"""What users write, checked by mypy --strict and run by test_usage.py: keep both true."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, assert_type

import ponder
from ponder.core.events import Event, Extended
from ponder.engines.scripted import Scripted
from ponder.thinking.prompts import ask
from ponder.thinking.votes import best, majority

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.core.protocols import Ability

# -- a strategy of one's own --------------------------------------------------------------------------------------


@ponder.method
class Drafts:
    """Short drafts side by side, each finished on its own; the majority of those a scorer likes."""

    name: ClassVar[str] = "drafts"
    aliases: ClassVar[tuple[str, ...]] = ("my-drafts",)
    paper: ClassVar[str] = ""
    cost: ClassVar[str] = "n * L"
    needs: ClassVar[frozenset[Ability]] = frozenset({"continue"})

    n: int = 4
    keep: int = 2
    scorer: str = "mean-logprob"

    async def solve(self, problem: ponder.Problem, run: ponder.Run) -> ponder.Choice:
        prompt = ask(problem, "cot")
        drafts = await run.sample(prompt, self.n, max_tokens=3, temperature=1.0)

        async def finish(draft: ponder.Prefix) -> ponder.Prefix:
            if draft.done or run.budget.left.tokens == 0:
                return draft
            path = await run.extend(draft, max_tokens=50, logprobs=0)
            run.propose(path)
            return path

        paths = assert_type(await run.each(finish, drafts), list[ponder.Prefix])
        scores = assert_type(await run.score(paths, by=Shorter()), list[float])
        ranked = sorted(range(len(paths)), key=lambda i: -scores[i])[: self.keep]
        return majority(await run.read([paths[i] for i in ranked]))


@dataclass(frozen=True)
class Cascade:
    """Strategies can be asked for their decisions; nothing but the shape of the class makes it a strategy."""

    name: ClassVar[str] = "cascade"
    paper: ClassVar[str] = ""
    needs: ClassVar[frozenset[Ability]] = frozenset()

    async def solve(self, problem: ponder.Problem, run: ponder.Run) -> ponder.Choice:
        cheap = await run.delegate(ponder.parse("self-consistency:n=3"), ponder.Budget(tokens=100))
        if cheap.votes and cheap.votes[0][1] == 3:
            return cheap
        paths = [candidate.path for candidate in cheap.candidates]
        return await run.delegate(Drafts(n=2), given=paths)


# -- a scorer of one's own ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shorter:
    """The shorter the better."""

    name: ClassVar[str] = "shorter"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    async def score(
        self, problem: ponder.Problem, paths: Sequence[ponder.Prefix], run: ponder.Run
    ) -> list[ponder.Score]:
        return [ponder.Score(-float(path.tokens)) for path in paths]


# -- an engine of one's own ---------------------------------------------------------------------------------------


class Parrot:
    """Answers with the last number of the question."""

    @property
    def capabilities(self) -> ponder.Capabilities:
        return ponder.Capabilities("parrot", frozenset({"continue", "streams", "stoppable"}))

    async def extend(
        self,
        prefix: ponder.Prefix,
        sampling: ponder.Sampling,
        watch: Callable[[ponder.Delta], bool | None] | None = None,
    ) -> ponder.Segment:
        number = [w.strip("?") for w in prefix.prompt.messages[-1].text.split() if w.strip("?").isdigit()][-1]
        text, tokens = "", 0
        for word in ("The", " answer", " is", f" {number}."):
            text, tokens = text + word, tokens + 1
            if watch is not None and watch(ponder.Delta(word, 1)) is False:
                return ponder.Segment(text, usage=_usage(tokens), finish="cancelled")
            if tokens == sampling.max_tokens:
                return ponder.Segment(text, usage=_usage(tokens), finish="length")
        return ponder.Segment(text, usage=_usage(tokens + 1), finish="eos")


def _usage(tokens: int) -> ponder.Usage:
    return ponder.Usage(prompt=10, completion=tokens, calls=1)


# -- asking -------------------------------------------------------------------------------------------------------


def ask_once() -> None:
    """`solve` in a program that does not await."""
    engine: ponder.Engine = Parrot()
    result = ponder.solve("What is 40 + 2, or 42?", "self-consistency:n=3", model=engine, budget="1k", seed=1)
    assert_type(result, ponder.Result)
    assert_type(result.answer, str | None)
    assert result.answer == "42"
    assert (result.stop, result.usage.calls) == ("finished", 3)
    assert result.usage.completion <= 1000
    if result.choice is not None:
        for candidate in result.choice.candidates:
            assert_type(candidate, ponder.Candidate)
            assert candidate.path.text.endswith("42.")


async def ask_often() -> list[str | None]:
    """`asolve`, many at once, on one engine, with roles, watchers and every kind of budget."""
    engine = Scripted.solver(0.8)
    places: list[str] = []

    def watch(event: Event) -> None:
        if isinstance(event, Extended):
            places.append(event.place)

    problem = ponder.Problem.of("What is 6 * 7?", "math")
    results = await asyncio.gather(
        ponder.asolve(problem, "best-of-n:n=4", model=engine),
        ponder.asolve(problem, ponder.parse("adaptive:n=8"), model={"solver": engine}, budget="calls=8,10s"),
        ponder.asolve(problem, Drafts(n=3), model=engine, budget=ponder.Budget(tokens=200), watchers=[watch]),
        ponder.asolve(problem, "my-drafts:n=2,keep=1", model=engine),
        ponder.asolve(problem, Cascade(), model=engine, seed=3),
    )
    assert places
    return [result.answer for result in results]


def told(job: Callable[[], object]) -> str:
    """Every mistake is a PonderError, and says what to do."""
    try:
        job()
    except ponder.PonderError as error:
        return str(error)
    raise AssertionError("Nothing was wrong.")


def mistakes() -> None:
    assert "There is no parameter of drafts" in told(lambda: ponder.parse("drafts:m=3"))
    assert "empty" in told(lambda: ponder.solve("", model=Parrot()))
    nothing = ponder.solve("What is 42?", "direct", model=Parrot(), budget="0")
    assert (nothing.answer, nothing.stop) == (None, "budget")

    async def notebook() -> str:
        return told(lambda: ponder.solve("What is 42?", model=Parrot()))

    assert "await ponder.asolve" in asyncio.run(notebook())


def values() -> None:
    """What is made and read without a run."""
    path = ponder.Prefix(ponder.Prompt(messages=(ponder.Message("user", "6 * 7?"),))) + " Let me see." + ""
    assert (path.text, path.tokens, path.done) == (" Let me see.", 0, False)
    assert str(ponder.Budget.parse("4k,30s")) == "4k,30s"
    assert str(Drafts(n=8)) == "drafts:n=8"
    choice = best([ponder.Candidate(path, "a", "a", 1.0), ponder.Candidate(path, "b", "b", 2.0)])
    assert choice.answer == "b"


def main() -> None:
    values()
    ask_once()
    mistakes()
    answers = asyncio.run(ask_often())
    assert set(answers) <= {"41", "42", "43"}, answers


if __name__ == "__main__":
    main()
