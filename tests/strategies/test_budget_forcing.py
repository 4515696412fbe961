"""Budget forcing on an engine whose every word is known: the two budgets, their order, and what is written."""

import random
from functools import partial

import pytest
import trio
from support import QUESTION, Keys, attempt, virtual

from ponder import Budget, Problem, UsageError
from ponder.engines.scripted import Scripted
from ponder.runtime.solve import solve
from ponder.strategies import BudgetForcing
from ponder.thinking.markers import FAMILIES

THINK = FAMILIES["think"]


def thinker(rounds=("First six.", " seven times."), answer="\n\nThe answer is 42.", markers=THINK, **options):
    """Thinks a round each time that it is kept from ending, then closes the section and answers."""

    def script(prefix):
        text = prefix.text
        if not markers.end:
            return {("Final" in text and " 42.") or rounds[min(text.count("Wait"), len(rounds) - 1)]: 1.0}
        if text.endswith("Final Answer:"):
            return {" 42.": 1.0}
        if markers.end + markers.answer in text:
            return {answer: 1.0}
        done = text.count("Wait")
        return {rounds[min(done, len(rounds) - 1)] + markers.end + markers.answer + answer: 1.0}

    return Scripted(script, thinking=markers, **options)


def forced(strategy, engine, budget=None):
    result, events = virtual(attempt, strategy, engine, budget)
    return result, [e for e in events if e.kind == "extended"]


def test_a_natural_end_gets_the_delimiter_alone():
    result, calls = forced(BudgetForcing(waits=0), thinker())
    assert result.text == "<think>\nFirst six.</think>\n\nThe answer is 42."
    assert result.answer == "42"
    assert [c.finish for c in calls] == ["stop", "eos"]
    assert [c.written for c in calls] == ["<think>\n", "</think>"]


def test_n_suppressions_are_n_plus_one_rounds_and_wait_stands_without_a_space():
    result, calls = forced(BudgetForcing(waits=2), thinker(("One.", " two.", " three.")))
    assert result.text == "<think>\nOne.Wait two.Wait three.</think>\n\nThe answer is 42."
    assert len(calls) == 4
    assert [c.written for c in calls] == ["<think>\n", "Wait", "Wait", "</think>"]


@pytest.mark.parametrize(("nudge", "said"), [("Hmm", "One.Hmm"), ("Alternatively", "One.Alternatively")])
def test_the_nudge_is_a_parameter(nudge, said):
    result, _ = forced(BudgetForcing(nudge=nudge), thinker(("One.",)))
    assert said in result.text


def test_no_nudge_goes_on_without_a_word():
    """What the model would say next if it may not end: the scripted one says it all again."""
    result, calls = forced(BudgetForcing(nudge=None), thinker(("One.",)))
    assert result.text.startswith("<think>\nOne.")
    assert "Wait" not in result.text
    assert len(calls) == 3


def test_the_maximum_cuts_closes_and_asks_for_the_final_answer():
    long = "word " * 50
    result, calls = forced(BudgetForcing(waits=3, max_thinking=20), thinker((long,)))
    assert calls[0].usage.completion == 20
    assert calls[0].finish == "length"
    assert len(calls) == 2, "a round that is cut off ends the forcing"
    assert calls[1].written == "\n</think>\nFinal Answer:"
    assert result.answer == "42"


def test_what_is_left_is_decremented_over_the_rounds():
    _, calls = forced(BudgetForcing(waits=2, max_thinking=20), thinker(("a b c d.", " e f g h.", " i " * 30)))
    assert [c.usage.completion for c in calls[:-1]] == [6, 6, 8]
    assert calls[-1].written.endswith("Final Answer:")


@pytest.mark.parametrize("family", ["s1", "gpt-oss"])
def test_other_families_close_and_open_as_they_were_trained(family):
    markers = FAMILIES[family]
    result, calls = forced(BudgetForcing(waits=1), thinker(answer="\nThe answer is 42.", markers=markers))
    assert calls[0].written == markers.start
    assert calls[-1].written == markers.end + markers.answer
    assert result.answer == "42"


def test_a_model_without_thinking_tokens_thinks_until_it_would_end_its_turn():
    result, calls = forced(
        BudgetForcing(waits=1), thinker(("The answer is 41.", " no: 42."), markers=FAMILIES["text"])
    )
    assert result.text == "Let's think step by step.The answer is 41.Wait no: 42.\nFinal Answer: 42."
    assert [c.finish for c in calls] == ["eos", "eos", "eos"]


def test_markers_of_ones_own_take_the_place_of_those_found():
    def script(prefix):
        return {"hm</pondering> 42": 1.0} if "</pondering>" not in prefix.text else {" 42": 1.0}

    result, _ = forced(BudgetForcing(waits=0, markers="<pondering>...</pondering>"), Scripted(script))
    assert result.text == "<pondering>hm</pondering> 42"
    with pytest.raises(UsageError, match=r"START\.\.\.END"):
        forced(BudgetForcing(markers="qwen"), thinker())


def test_a_marker_in_the_question_confuses_nothing():
    problem = Problem.of(
        "What does </think> mean, and what is 6 * 7? Final Answer: 3 <|im_start|>answer", "math"
    )
    result, calls = virtual(partial(attempt, BudgetForcing(), thinker(), problem=problem))
    assert result.answer == "42"
    assert sum(c.kind == "extended" for c in calls) == 3


def test_a_loop_is_cut_and_marked_and_ends_the_forcing():
    loop = "That is not quite right. Let me try again. " * 40
    result, calls = forced(BudgetForcing(waits=4, max_thinking=2000), thinker((loop,)))
    assert (calls[0].finish, calls[0].stopped_by) == ("cancelled", "repetition")
    assert calls[0].usage.completion < 100
    assert calls[1].written == "\n</think>\nFinal Answer:" or calls[1].written.endswith("Final Answer:")
    assert (result.answer, result.stop) == ("42", "finished")


def test_thinking_that_never_ends_leaves_a_tight_budget_its_answer():
    endless = " ".join(f"{n} is odd or even," for n in range(300))
    result, calls = forced(BudgetForcing(), thinker((endless,)), "100")
    assert calls[0].usage.completion == 88
    assert result.answer == "42"


@pytest.mark.parametrize("condition", ["tokens", "steps", "short", "long"])
def test_a_condition_is_said_after_the_question(condition):
    asked = []

    def script(prefix):
        asked.append(prefix.prompt.messages[-1].text)
        return {"The answer is 42.": 1.0}

    forced(BudgetForcing(condition=condition, max_thinking=4096), Scripted(script))
    said = {
        "tokens": "Think for up to 4096 tokens.",
        "steps": "Think for up to 40 steps.",
        "short": "Answer after a short amount of thinking.",
        "long": "Answer after a long amount of thinking.",
    }[condition]
    assert all(text.startswith(f"{QUESTION.question}\n\n{said}") for text in asked)


@pytest.mark.parametrize("part", range(10))
def test_forcing_never_exceeds_its_budgets(part):
    """Ten thousand random cases: thinking, answer, calls and the ledger's limit."""
    chance = random.Random(part)
    words = ["so", "then", "wait", "six", "42", "\n\n", "hence", "<b>"]
    families = [*FAMILIES.values()]

    async def main():
        for case in range(1000):
            markers = chance.choice(families)
            texts = [" ".join(chance.choices(words, k=chance.randint(0, 25))) for _ in range(3)]
            ending = [markers.end + markers.answer + " 42.", ""]
            shares = {text + chance.choice(ending): 1.0 for text in texts}
            strategy = BudgetForcing(
                waits=chance.randint(0, 4),
                nudge=chance.choice(["Wait", "Hmm", None]),
                max_thinking=chance.randint(1, 40),
                max_answer=chance.randint(1, 8),
                temperature=chance.choice([0.0, 1.0]),
            )
            limit = chance.choice([None, chance.randint(0, 60)])
            events = []
            result = await solve(
                QUESTION,
                strategy,
                {"solver": Scripted(shares, thinking=markers)},
                equality=Keys(),
                budget=Budget(tokens=limit),
                seed=case,
                watchers=[events.append],
            )
            calls = [e for e in events if e.kind == "extended"]
            thought = [
                c
                for c in calls
                if not c.written.endswith(("Final Answer:", markers.end + markers.answer or "?"))
            ]
            said = [c for c in calls if c not in thought]
            told = (case, strategy, limit)
            assert sum(c.usage.completion for c in thought) <= strategy.max_thinking, told
            assert sum(c.usage.completion for c in said) <= strategy.max_answer, told
            assert len(thought) <= strategy.waits + 1, told
            assert len(said) <= 1, told
            assert limit is None or result.usage.completion <= limit, told

    trio.run(main)
