"""Self-backtracking against the plainest way to do it, on small worlds whose every probability is known."""

import math
from functools import partial
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import attempt, virtual

from ponder import Problem, Sampling, UsageError
from ponder.engines.scripted import Scripted
from ponder.runtime.place import derive
from ponder.strategies import SelfBacktracking
from ponder.thinking.prompts import ask

OPEN = Problem.of("What is written here?", "open")
GOAL, MARKER = "Goal Reached!", "<backtrack>"
ENDS = (GOAL, MARKER, "", f"{GOAL} again", f"{GOAL}\nnot at all\n{MARKER}")

lines = st.lists(st.sampled_from(["a", "b"]), max_size=3)
texts = st.builds(lambda body, end: "".join(f"{line}\n" for line in body) + end, lines, st.sampled_from(ENDS))
worlds = st.dictionaries(texts, st.sampled_from([1.0, 2.0, 5.0]), min_size=1, max_size=8)
aggs = st.sampled_from(["mean", "sum", "logsumexp"])


class Obvious:
    """The paper's algorithm, written down as lists of (text, log-probability) of tokens."""

    def __init__(self, engine, b, k, agg):
        self.engine, self.b, self.k, self.agg = engine, b, k, agg
        self.drawn, self.wrote, self.frontiers = [], [], []

    async def run(self):
        frontier, visited, claims = [[]], {""}, []
        for t in range(self.b):
            if not frontier:
                break
            self.frontiers.append([said(state) for state in frontier])
            following = []
            for j, state in enumerate(frontier):
                for i in range(self.k):
                    out = await self.one(state, (2 * t, j * self.k + i))
                    self.drawn.append(out)
                    if GOAL in said(out):
                        claims.append(out)
                    if MARKER in said(out) and len(following) < math.floor(math.sqrt(self.k)):
                        kept = without_last_line(out)
                        if said(kept) not in visited:
                            following.append(kept)
                            visited.add(said(kept))
            frontier = following
        return self.select(claims)

    async def one(self, state, place):
        prefix = ask(OPEN) + said(state)
        how = {"stop": (MARKER,), "temperature": 0.7, "max_tokens": 512, "logprobs": 0}
        seed = derive(0, OPEN.id, place)
        segment = await self.engine.extend(prefix, Sampling(**how, seed=seed))
        self.wrote.append(segment.text)
        starts = (0, *segment.ends[:-1])
        pieces = [segment.text[a:b] for a, b in zip(starts, segment.ends, strict=True)]
        return [*state, *zip(pieces, segment.logprobs, strict=True)]

    def select(self, claims):
        """(text, weight), or None where nothing claims the goal."""
        groups = {}
        for out in claims:
            groups.setdefault(said(out).split(GOAL)[0], []).append(out)
        agg = {"mean": fmean, "sum": sum, "logsumexp": lambda ws: math.log(sum(map(math.exp, ws)))}[self.agg]
        weighed = [(said(g[0]), agg([weight(out) for out in g])) for g in groups.values()]
        return max(weighed, key=lambda c: c[1], default=None)


def said(tokens):
    return "".join(text for text, _ in tokens)


def weight(tokens):
    return fmean(log for _, log in tokens)


def without_last_line(out):
    """Tokens up to the last line before the marker: here no token reaches beyond its line."""
    body = said(out).split(MARKER)[0].removesuffix("\n")
    keep = len(body) - len(body.rpartition("\n")[2])
    kept, length = [], 0
    for token in out:
        if length + len(token[0]) > keep or not keep:
            break
        length += len(token[0])
        kept.append(token)
    return kept


@given(worlds, st.integers(1, 4), st.integers(1, 10), aggs)
@settings(max_examples=300, deadline=None)
def test_it_is_the_obvious_algorithm(world, b, k, agg):
    obvious = Obvious(Scripted(world), b, k, agg)
    expected = virtual(obvious.run)
    engine = Scripted(world)
    result, events = virtual(partial(attempt, problem=OPEN), SelfBacktracking(b=b, k=k, agg=agg), engine)
    assert engine.calls == len(obvious.drawn) <= k * (1 + (b - 1) * math.isqrt(k))
    calls = {tuple(map(int, e.place.split("."))): e.text for e in events if e.kind == "extended"}
    assert [calls[place] for place in sorted(calls)] == obvious.wrote
    chosen = max(result.choice.candidates, key=lambda c: c.weight)
    if expected is None:
        assert not any(GOAL in said(out) for out in obvious.drawn)
        return
    assert result.choice.path.text == expected[0]
    assert chosen.weight == pytest.approx(expected[1])


def test_the_frontier_holds_sqrt_k_states_and_none_twice():
    world = {f"{x}\n{y}\nwrong\n{MARKER}": 1.0 for x in "abcdef" for y in "abcdef"}
    obvious = Obvious(Scripted(world), 4, 9, "mean")
    virtual(obvious.run)
    sizes = [len(states) for states in obvious.frontiers]
    states = [state for states in obvious.frontiers for state in states]
    assert sizes[:2] == [1, 3]
    assert max(sizes) <= 3
    assert len(states) == len(set(states))
    engine = Scripted(world)
    virtual(attempt, SelfBacktracking(b=4, k=9), engine)
    assert engine.calls == 9 * sum(sizes)


def test_a_wrong_first_line_leads_back_to_the_prompt_which_is_not_expanded_again():
    engine = Scripted({f"wrong\n{MARKER}": 1.0})
    result, _ = virtual(attempt, SelfBacktracking(b=5, k=4), engine)
    assert engine.calls == 4
    assert result.stop == "finished"


def test_the_second_round_goes_on_by_ids_and_counts_the_kept_tokens():
    world = {f"a\nb\n{MARKER}": 0.5, f"a\n{GOAL}": 0.5}
    seen = []

    class Watched(Scripted):
        async def extend(self, prefix, sampling, watch=None):
            seen.append(prefix)
            return await super().extend(prefix, sampling, watch)

    result, _ = virtual(attempt, SelfBacktracking(b=3, k=4), Watched(world))
    again = [prefix for prefix in seen if prefix.segments]
    assert {prefix.text for prefix in again} == {"a\n"}
    assert all(prefix.segments[0].token_ids and prefix.segments[0].sampled for prefix in again)
    claims = result.choice.candidates
    assert {len(c.path.segments) for c in claims} == {1, 2}, "some were drawn in each round"
    # "a", line break, and then "Goal" with 1 in 2; " Reached", "!" and the end are certain.
    assert all(c.path.text == f"a\n{GOAL}" for c in claims)
    assert [c.weight for c in claims] == pytest.approx([math.log(0.5) / 6] * len(claims))


def test_without_the_marker_it_is_best_of_n_by_mean_log_probability():
    for p in (0.1, 0.5):
        world = {"The answer is 42.": p, "The answer is 41.": 1 - p}
        ours, _ = virtual(attempt, "self-backtracking:b=3,k=8,temperature=0.8", Scripted(world))
        theirs, _ = virtual(attempt, "best-of-n:n=8,shots=0", Scripted(world))
        assert ours.usage.calls == 8
        assert ours.answer == theirs.answer


def test_what_was_taken_back_is_chosen_only_if_nothing_else_is_there():
    world = {f"The answer is 1.\n{MARKER}": 0.9, "The answer is 2.": 0.1}
    result, _ = virtual(attempt, "self-backtracking:b=1,k=64", Scripted(world))
    assert result.answer == "2"
    result, _ = virtual(attempt, "self-backtracking:b=1,k=4", Scripted({f"The answer is 1.\n{MARKER}": 1.0}))
    assert result.answer == "1"


def test_a_claim_is_chosen_before_a_likelier_text_that_claims_nothing():
    world = {f"The answer is 1.\n{GOAL}": 0.1, "The answer is 2.": 0.9}
    result, _ = virtual(attempt, "self-backtracking:b=1,k=64", Scripted(world))
    assert result.answer == "1"
    result, _ = virtual(attempt, "self-backtracking:b=1,k=64,goal=", Scripted(world))
    assert result.answer == "2"


def test_said_twice_is_a_disadvantage_under_sum_and_an_advantage_under_logsumexp():
    # Both claims have as many tokens; the first is twice as likely, so it comes more often.
    world = {f"The answer is 1. {GOAL}": 2.0, f"The answer is 2. {GOAL}": 1.0}
    answers = {}
    for agg in ("mean", "sum", "logsumexp"):
        result, _ = virtual(
            attempt, f"self-backtracking:b=1,k=200,temperature=0.4,agg={agg}", Scripted(world)
        )
        answers[agg] = result.answer
    assert answers == {"mean": "1", "sum": "2", "logsumexp": "1"}


def test_another_marker_and_goal():
    world = {"one\noops\n[undo]": 0.5, "one\nThe answer is 7. Done": 0.5}
    result, _ = virtual(attempt, "self-backtracking:b=2,k=8,marker=[undo],goal=Done", Scripted(world))
    assert result.answer == "7"
    with pytest.raises(UsageError, match="non-empty"):
        virtual(attempt, "self-backtracking:marker=", Scripted(world))


def test_a_budget_that_ends_in_the_second_round_leaves_the_first_one_s_claim():
    world = {f"The answer is 1.\n{GOAL}": 0.5, f"The answer is 1.\nno\n{MARKER}": 0.5}
    result, _ = virtual(attempt, "self-backtracking:b=3,k=4", Scripted(world), "calls=4")
    assert (result.answer, result.stop) == ("1", "budget")


def test_a_marker_of_one_token_is_a_stop_id_and_a_longer_one_a_text():
    seen = []

    class Watched(Scripted):
        async def extend(self, prefix, sampling, watch=None):
            seen.append(sampling)
            return await super().extend(prefix, sampling, watch)

    engine = Watched({"42": 1.0})
    virtual(attempt, "self-backtracking:k=1", engine)
    virtual(attempt, "self-backtracking:k=1,marker=take it back", engine)
    assert [s.stop_ids for s in seen] == [engine.encode(MARKER), ()]
    assert [s.stop for s in seen] == [(MARKER,), ("take it back",)]
