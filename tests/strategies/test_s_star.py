"""S* and what it stands on: executions that are paid for, votes by behaviour, the choice among clusters."""

import json
from functools import partial

import anyio
import pytest
from support import Pretending, attempt, virtual

from ponder import Budget, NoSandbox, Problem, Unsupported, asolve, config
from ponder.core.executions import Execution
from ponder.engines.scripted import Scripted
from ponder.runtime.ledger import Ledger
from ponder.sandbox import bubblewrap
from ponder.strategies import parse
from ponder.thinking.values import pack, unpack

ASKS = Problem.of(
    'Complete this Python function:\n\n```python\ndef f(n):\n    """\n    >>> f(2)\n    4\n    """\n```',
    "code",
)


def written(body):
    return f"```python\ndef f(n):\n    return {body}\n```"


class Evaluating(Pretending):
    """A sandbox for programs of the form `return EXPRESSION` of n, in whole numbers: +, * and ** alone."""

    def __init__(self):
        self.asked = []

    async def execute(self, program, inputs):
        await anyio.lowlevel.checkpoint()
        self.asked.append((program, len(inputs)))
        body = program.rpartition("return ")[2].strip()
        return [self.one(body, one) for one in inputs]

    @staticmethod
    def one(body, given):
        n = unpack(given.args)[0][0]
        known = {"n + n": n + n, "n * n": n * n, "2 * n": 2 * n, "n + 2": n + 2, "5": 5, "n ** 2": n * n}
        return (
            Execution(pack(known[body]), None, 0.5)
            if body in known
            else Execution(error="E: no", seconds=0.5)
        )


def run(strategy, script, budget=None, sandbox=None, problem=ASKS, **more):
    sandbox = sandbox or Evaluating()
    result, events = virtual(
        lambda: attempt(strategy, Scripted(script), budget, problem=problem, sandbox=sandbox, **more)
    )
    return result, events, sandbox


def answering(first, *, debugged="5", better="A", inputs="f(3)"):
    """A model that writes programs by their shares, others when it debugs, inputs, and verdicts."""

    def script(prefix):
        asked, system = prefix.prompt.messages[-1].text, prefix.prompt.messages[0].text
        if "You judge programs" in system:
            said = better(asked) if callable(better) else better
            return {json.dumps({"better": said}): 1.0}
        if "Do not write code yet" in system:
            return {inputs: 1.0}
        if "Your program was run, and failed" in asked:
            return {written(debugged): 1.0}
        return {written(body): share for body, share in first.items()}

    return script


def prefers(body):
    """A judge that likes a program, wherever it stands."""

    def verdict(asked):
        a, b = (
            asked.partition("Program B:")[0],
            asked.partition("Program B:")[2].partition("What they gave")[0],
        )
        return "A" if body in a else "B" if body in b else "tie"

    return verdict


def test_programs_that_do_the_same_are_one_answer():
    result, _, _ = run(
        "self-consistency:n=40", answering({"n + n": 0.35, "2 * n": 0.35, "n + 2": 0.2, "n ** 2": 0.1})
    )
    assert result.answer in ("def f(n):\n    return n + n", "def f(n):\n    return 2 * n")
    assert sum(weight for _, weight in result.choice.votes) == 40
    assert len(result.choice.votes) == 3


@pytest.mark.parametrize(
    "strategy",
    [
        "self-consistency:n=40",
        "adaptive-consistency:n=40",
        "early-stopping:n=40",
        "best-of-n:n=40,selection=majority",
        "best-of-n:n=40,selection=weighted",
        "best-of-n:n=40,selection=borda",
        "deepconf:n=40,mode=offline,measure=mean",
        "revisions:n=40,ratio=0.1",
        "cascade:first=self-consistency:n=40,tau=-9",
        "auto:direct=0,probe=4,then=self-consistency:n=40",
        "s-star:n=40,rounds=1,selection=majority",
    ],
)
def test_every_vote_counts_what_programs_do(strategy):
    """The wrong program is the most frequent text, and the right one the most frequent behaviour."""
    shares = {"n + 2": 0.36, "n + n": 0.32, "2 * n": 0.32}
    result, _, _ = run(strategy, answering(shares), scorers=config.scorers())
    assert result.answer in ("def f(n):\n    return n + n", "def f(n):\n    return 2 * n")
    assert max(result.choice.votes, key=lambda vote: vote[1])[1] > 0.5 * sum(
        w for _, w in result.choice.votes
    )


def test_equal_programs_in_different_texts_are_run_once():
    texts = {"```python\nreturn n + n\n```": 0.5, "```python\n    return n + n\n```": 0.5}
    result, _, sandbox = run("self-consistency:n=12", lambda _: texts)
    assert (
        len({answer for answer, _ in result.choice.votes} | {c.answer for c in result.choice.candidates}) == 2
    )
    assert len(result.choice.votes) == 1
    assert len(sandbox.asked) == 1
    _, _, sandbox = run("early-stopping:n=12,w=2", lambda _: texts)  # which reads again and again
    assert len(sandbox.asked) == 1


def test_a_program_that_always_fails_agrees_with_nobody():
    result, _, _ = run(
        "self-consistency:n=30", answering({"boom": 0.3, "bang": 0.3, "n + n": 0.2, "2 * n": 0.2})
    )
    assert "n" in result.answer.rpartition("return ")[2]
    assert len(result.choice.votes) == 3


def test_the_public_examples_filter_and_the_first_that_passes_is_taken():
    result, _, _ = run("s-star:n=20,rounds=1,selection=public", answering({"5": 0.8, "n * n": 0.2}))
    assert "n * n" in result.answer


def test_debugging_mends_what_fails_and_stops_where_nothing_does():
    result, events, _ = run("s-star:n=4,rounds=3,selection=public", answering({"5": 1.0}, debugged="n + n"))
    assert "n + n" in result.answer
    assert sum(event.kind == "extended" for event in events) == 4 + 4
    asked = [e.place for e in events if e.kind == "extended" and e.parent]
    assert len(asked) == 4, "a debugged program hangs from the one before it"
    result, events, _ = run("s-star:n=4,rounds=3,selection=public", answering({"5": 1.0}, debugged="5"))
    assert sum(event.kind == "extended" for event in events) == 4 * 3


def test_debugging_goes_on_in_the_conversation_that_wrote_the_program():
    asked, answer = [], answering({"5": 1.0}, debugged="n + 2")

    def script(prefix):
        if prefix.prompt.messages not in asked:
            asked.append(prefix.prompt.messages)
        return answer(prefix)

    sandbox = Evaluating()
    sandbox.one = lambda body, given: Execution(error="E: no")
    run("s-star:n=1,rounds=3,selection=public", script, sandbox=sandbox)
    assert [len(messages) for messages in asked] == [2, 4, 6]
    for before, after, wrote in zip(asked, asked[1:], ("5", "n + 2"), strict=False):
        assert after[: len(before)] == before
        assert (after[-2].role, after[-2].text) == ("assistant", written(wrote))
        assert "f(2) should give 4" in after[-1].text


@pytest.mark.parametrize("liked", ["n + n", "n * n", "n + 2"])
def test_the_judge_chooses_among_clusters_and_not_their_size(liked):
    first = {"n + n": 0.6, "n * n": 0.2, "n + 2": 0.2}  # all give 4 for 2
    result, _, _ = run("s-star:n=30,rounds=1", answering(first, better=prefers(liked)))
    assert liked in result.answer


def test_a_judge_that_says_the_same_letter_both_times_says_nothing():
    result, _, _ = run("s-star:n=30,rounds=1", answering({"n + n": 0.7, "n * n": 0.3}, better="A"))
    assert "n + n" in result.answer, "then the larger cluster is taken"


def test_the_judge_is_shown_what_was_executed_and_nothing_that_was_guessed():
    shown = []

    def verdict(asked):
        shown.append(asked)
        return "tie"

    run("s-star:n=20,rounds=1", answering({"n + n": 0.5, "n * n": 0.5}, better=verdict, inputs="f(3) == 7"))
    gave = "Input: f(3)\nA gave: {}\nB gave: {}"
    assert any(gave.format(6, 9) in text or gave.format(9, 6) in text for text in shown)
    assert not any("7" in text for text in shown)
    assert len(shown) == 2, "one pair of clusters, both ways round"


def test_majority_and_public_ask_no_judge():
    for selection in ("majority", "public"):
        first = {"n + n": 0.5, "2 * n": 0.2, "n * n": 0.3}
        _, events, _ = run(f"s-star:n=10,rounds=1,selection={selection}", answering(first))
        assert sum(e.kind == "extended" for e in events) == 10


def test_duels_are_capped():
    first = {"n + n": 0.4, "n * n": 0.3, "n + 2": 0.3}
    _, events, _ = run("s-star:n=30,rounds=1,duels=1,inputs=0", answering(first))
    assert sum(e.kind == "extended" for e in events) == 30 + 3


def test_plan_search_takes_what_passes_the_examples():
    result, events, _ = run(
        "plan-search:sets=3,observations=2",
        answering({"5": 0.5, "n + n": 0.5}, inputs="1. It is even.\n2. It is n twice."),
    )
    assert "n + n" in result.answer
    assert sum(e.kind == "extended" for e in events) == 1 + 3 * 6 + 2  # the empty set derives nothing


# -- the verb ------------------------------------------------------------------------------------------------


def test_an_execution_is_a_call_paid_for_and_recorded():
    result, events, _ = run("s-star:n=3,rounds=1,selection=public", answering({"5": 1.0}))
    executed = [e for e in events if e.kind == "executed" and e.usage.calls]
    assert len(executed) == 3
    assert result.roles["sandbox"].calls == 3
    assert result.roles["sandbox"].seconds == pytest.approx(1.5)
    assert result.usage.calls == 3 + 3
    assert executed[0].executions == (
        ('{"args": "{\\"tuple\\":[{\\"tuple\\":[2]},{\\"dict\\":[]}]}", "function": "f"}', "5", None),
    )
    assert executed[0].program.endswith("return 5\n")


def test_calls_that_a_budget_does_not_have_are_not_executed():
    result, _, _ = run("s-star:n=4,rounds=1", answering({"5": 1.0}), "calls=5")
    assert (result.usage.calls, result.stop) == (5, "budget")
    assert result.answer == "def f(n):\n    return 5"


def test_a_run_that_is_ended_pays_for_the_program_that_runs():
    class Hanging(Pretending):
        async def execute(self, program, inputs):
            await anyio.sleep(1000)

    sample = Problem.of("Write a program.", "code")  # nothing to read it on
    result, _, _ = run("s-star:n=1,rounds=1", answering({"5": 1.0}), "5s", Hanging(), problem=sample)
    assert result.stop in ("deadline", "finished")
    assert result.usage.seconds <= 7


def test_without_a_sandbox_it_is_refused_before_the_first_token():
    import support

    engine = Scripted(answering({"5": 1.0}))

    async def job():
        from ponder.runtime.solve import solve

        return await solve(ASKS, parse("s-star"), {"solver": engine}, equality=support.Keys())

    with pytest.raises(Unsupported, match="runs programs that the model writes"):
        virtual(job)
    assert engine.calls == 0


def test_a_question_to_a_strategy_that_runs_programs_is_one_for_a_program():
    asked = "Write a function f(n) that doubles. f(2) == 4"
    engine = Scripted(answering({"5": 0.5, "n + n": 0.5}))
    job = partial(asolve, asked, "s-star:n=9,rounds=1,selection=public", model=engine, sandbox=Evaluating())
    assert virtual(job).answer == "def f(n):\n    return n + n"


def test_votes_without_a_sandbox_count_texts_and_say_so(monkeypatch):
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda *_, **__: None)
    engine = Scripted(answering({"n + 2": 0.4, "n + n": 0.3, "2 * n": 0.3}))
    with pytest.warns(UserWarning, match=r"written alike.*apt install bubblewrap"):
        result = virtual(partial(asolve, ASKS, "self-consistency:n=40", model=engine))
    assert len(result.choice.votes) == 3


def test_a_sandbox_that_cannot_start_ends_the_run_by_its_name():
    class Gone(Pretending):
        async def execute(self, program, inputs):
            raise NoSandbox("There is none.")

    with pytest.raises(NoSandbox):
        run("s-star:n=2", answering({"5": 1.0}), None, Gone())


def test_the_ledger_counts_executions_as_calls_and_no_tokens():
    async def job():
        ledger = Ledger(Budget(tokens=0, calls=1))
        lease = await ledger.reserve((0,), kind="sandbox", most=0, counted=True)
        assert ledger.left.calls == 0
        return lease

    lease = virtual(job)
    assert (lease.granted, lease.calls) == (0, 1)
