"""Several models in one run: who plays which role, who is paid for what, and who is named when something breaks."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from support import attempt, virtual

import ponder
from ponder import EngineError, UnknownName, Unsupported
from ponder.engines.layers import Faulty
from ponder.engines.scripted import Scripted
from ponder.runtime.preflight import check_roles, roles
from ponder.strategies import parse
from ponder.thinking.prompts import ask


@dataclass(frozen=True)
class Pair:
    """One model answers, another has the last word."""

    name: ClassVar[str] = "pair"
    paper: ClassVar[str] = ""
    needs: ClassVar[frozenset] = frozenset()
    roles: ClassVar[tuple[str, ...]] = ("solver", "feedback")

    async def solve(self, problem, run):
        run.propose(await run.extend(ask(problem)))
        return await run.extend(ask(problem), role="feedback")


@dataclass(frozen=True)
class Around:
    """It holds another strategy, and scores."""

    name: ClassVar[str] = "around"
    paper: ClassVar[str] = ""
    needs: ClassVar[frozenset] = frozenset()
    roles: ClassVar[tuple[str, ...]] = ("solver", "edit")

    inner: Any
    scorer: Any = None

    async def solve(self, problem, run):
        return await run.delegate(self.inner)


@dataclass(frozen=True)
class Judge:
    name: ClassVar[str] = "a-judge"
    needs: ClassVar[frozenset] = frozenset()
    roles: ClassVar[tuple[str, ...]] = ("judge",)


@dataclass(frozen=True)
class Silent:
    name: ClassVar[str] = "silent"
    paper: ClassVar[str] = ""
    needs: ClassVar[frozenset] = frozenset()

    async def solve(self, problem, run):
        return await run.extend(ask(problem), role="whoever")


def says(answer, **options):
    return Scripted({f"The answer is {answer}.": 1.0}, **options)


def test_roles_are_those_of_all_that_takes_part():
    assert roles(Pair(), {}) == {"solver", "feedback"}
    assert roles(Around(Pair(), Judge()), {}) == {"solver", "feedback", "edit", "judge"}
    assert roles(Around(Pair(), "j"), {"j": Judge()}) == {"solver", "feedback", "edit", "judge"}
    assert roles(parse("self-consistency"), {}) == {"solver"}
    assert roles(Silent(), {}) is roles(Around(Silent()), {}) is None


def test_a_role_that_nobody_plays_is_named_before_the_first_token():
    engines = {"solver": says(1), "feedbak": says(2)}
    with pytest.raises(UnknownName, match=r"no role in pair named 'feedbak'\. Did you mean feedback\?"):
        virtual(attempt, Pair(), engines, None)
    assert engines["solver"].calls == 0
    with pytest.raises(UnknownName, match="There are: solver"):
        ponder.solve("What is 1?", "cot", model={"solver": says(1), "zzz": "no-such-model"})
    check_roles(["anything"], [Silent()], {})
    check_roles(["feedback"], [parse("cot"), Pair()], {})
    with pytest.raises(UnknownName, match="these strategies"):
        check_roles(["edit"], [parse("cot"), Pair()], {})


def test_what_is_scored_is_recorded_by_who_writes_it_and_by_nobody_else():
    blind = says(1, without={"logprobs"})
    with pytest.raises(Unsupported, match="give log-probabilities"):
        virtual(attempt, parse("feedback-edit"), {"solver": says(1), "edit": blind}, None)
    virtual(attempt, parse("feedback-edit"), {"solver": says(1), "feedback": blind}, None)
    with pytest.raises(Unsupported, match="give log-probabilities"):
        virtual(attempt, parse("lookahead"), {"solver": says(1), "lookahead": blind}, None)


def test_each_role_has_its_engine_and_its_part_of_the_receipt():
    engines = {"solver": says(1), "feedback": says(22)}
    result, events = virtual(attempt, Pair(), engines, None)
    assert result.answer == "22"
    assert {role: usage.completion for role, usage in result.roles.items()} == {
        role: engine.completion_tokens for role, engine in engines.items()
    }
    assert result.usage == result.roles["solver"] + result.roles["feedback"]
    assert [event.role for event in events if event.kind == "extended"] == ["solver", "feedback"]
    alone, _ = virtual(attempt, Pair(), says(1), None)
    assert set(alone.roles) == {"solver", "feedback"}, (
        "one model plays all, and the parts are still told apart"
    )


def test_an_error_says_which_model_broke_and_in_which_role():
    broken = Faulty(says(2, name="other"), errors=1.0, fatal=1.0)
    engines = {"solver": says(1), "feedback": broken}

    async def both():
        for _ in range(2):  # once more with the same engine: it is said once
            with pytest.raises(EngineError, match=r"^other, as feedback: (?!other)"):
                await attempt(Alone(), engines, None)

    virtual(both)
    with pytest.raises(EngineError) as one:
        virtual(attempt, Alone(), broken, None)
    assert "as feedback" not in str(one.value), "with one model there is nothing to tell apart"


@dataclass(frozen=True)
class Alone(Pair):
    async def solve(self, problem, run):
        return await run.extend(ask(problem), role="feedback")


def test_models_are_given_by_role_from_python_too():
    result = ponder.solve("What is 6 * 7?", Pair(), model={"solver": says(1), "feedback": says(42)})
    assert result.answer == "42"
