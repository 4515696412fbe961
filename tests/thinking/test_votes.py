"""Every vote against the plainest way to count it."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder import Candidate, Prefix, Prompt
from ponder.thinking.aggregation import unit
from ponder.thinking.votes import best, borda, counts, majority, merge, select, unanimous

PATH = Prefix(Prompt(raw=""))


def candidate(key, weight=1.0, answer=None):
    return Candidate(PATH + f"{key}", answer or (key and f"it is {key}"), key, weight)


many = st.lists(
    st.builds(candidate, st.sampled_from([None, "a", "b", "c"]), st.sampled_from([0.5, 1.0, 2.0])), min_size=1
)


@given(many)
def test_the_majority_is_the_largest_total_and_the_first_seen_on_a_tie(candidates):
    choice = majority(candidates)
    said = [c for c in candidates if c.key is not None]
    totals = {c.key: sum(o.weight for o in said if o.key == c.key) for c in said}
    assert choice.candidates == tuple(candidates)
    if not said:
        assert (choice.answer, choice.votes, choice.path) == (None, (), candidates[0].path)
        return
    winner = next(c for c in said if totals[c.key] == max(totals.values()))
    assert (choice.answer, choice.path) == (winner.answer, winner.path)
    assert dict(choice.votes) == {f"it is {key}": total for key, total in totals.items()}
    assert [n for _, n in choice.votes] == sorted(totals.values(), reverse=True)


@given(many)
def test_the_best_is_the_first_of_the_heaviest_that_answered(candidates):
    choice = best(candidates)
    able = [c for c in candidates if c.key is not None] or candidates
    assert choice.path == next(c for c in able if c.weight == max(a.weight for a in able)).path
    assert choice.candidates == tuple(candidates)


def test_answers_are_the_same_when_their_keys_are():
    """Not when their texts are; and what is shown is how it was first said."""
    half = [candidate("1/2", answer="0.5"), candidate("1", answer="1"), candidate("1/2", answer="½")]
    assert majority(half).answer == "0.5"
    assert majority(half).votes == (("0.5", 2.0), ("1", 1.0))
    assert counts(half) == [2, 1]


@pytest.mark.parametrize(
    ("keys", "agree"),
    [
        ([], False),
        (["a"], True),
        (["a", "a"], True),
        (["a", "b"], False),
        (["a", None], False),
        ([None, "a"], False),
        ([None], False),
        ([None, None], False),
    ],
)
def test_the_silent_agree_with_nobody(keys, agree):
    assert unanimous([candidate(key) for key in keys]) is agree


def test_a_vote_needs_candidates():
    for vote in (majority, best):
        with pytest.raises(ValueError, match="candidates"):
            vote([])


@given(many, st.sampled_from(["mean", "sum", "logsumexp"]))
def test_merging_gives_each_the_weight_of_all_that_are_the_same(candidates, agg):
    merged = merge(candidates, lambda c: c.path.text, agg)
    assert [replace(m, weight=1.0) for m in merged] == [replace(c, weight=1.0) for c in candidates]
    for one in merged:
        weights = [c.weight for c in candidates if c.path.text == one.path.text]
        plain = {
            "mean": sum(weights) / len(weights),
            "sum": sum(weights),
            "logsumexp": math.log(sum(map(math.exp, weights))),
        }
        assert one.weight == pytest.approx(plain[agg])


scored = st.lists(
    st.tuples(
        st.builds(candidate, st.sampled_from([None, "a", "b", "c"]), st.sampled_from([1.0, 2.0])),
        st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    ),
    min_size=1,
)


@given(scored)
def test_a_weighted_selection_sums_the_scores_of_each_answer(pairs):
    candidates, values = map(list, zip(*pairs, strict=True))
    choice = select(candidates, values, "weighted")
    totals: dict[str, float] = {}
    for c, v in pairs:
        if c.key is not None:
            totals[c.answer] = totals.get(c.answer, 0.0) + c.weight * v
    if not totals:
        assert choice.path == candidates[max(range(len(values)), key=values.__getitem__)].path
    elif any(totals.values()):
        assert dict(choice.votes) == pytest.approx(totals)
        assert totals[choice.answer] == max(totals.values())
    else:
        assert choice.votes == majority(candidates).votes


def test_naive_weighted_and_majority_can_each_choose_another():
    candidates = [candidate(key) for key in "abbccc"]
    values = [0.9, 0.6, 0.6, 0.1, 0.2, 0.1]
    chosen = [select(candidates, values, how).answer for how in ("naive", "weighted", "majority")]
    assert chosen == ["it is a", "it is b", "it is c"]
    assert select(candidates, values, "borda").votes[0] == (
        "it is b",
        pytest.approx(5**0.5 + 4**0.5),
    )


def test_log_probabilities_and_logits_are_weighed_as_probabilities():
    """A sum of negative numbers is the larger the fewer there are."""
    candidates = [candidate(key) for key in "aabbb"]
    assert select(candidates, [-0.3, -0.3, -0.3, -0.3, -0.3], "weighted").answer == "it is b"
    assert select(candidates, [0.0, 0.0, 0.0, 0.0, 0.0], "weighted").answer == "it is b"
    assert unit([-math.inf, -1.0, 0.0]) == [0.0, math.exp(-1), 1.0]
    assert unit([-800.0, 0.0, 2.0]) == [0.0, 0.5, pytest.approx(0.8808, abs=1e-4)]
    assert unit([0.0, 0.3, 1.0]) == [0.0, 0.3, 1.0]
    assert unit([]) == []


def test_what_a_scorer_says_of_its_scale_is_not_guessed():
    assert unit([0.2, 0.4], "logit") == [pytest.approx(0.5498, abs=1e-4), pytest.approx(0.5987, abs=1e-4)]
    assert unit([-1.0, -2.0], "logit") == [pytest.approx(0.2689, abs=1e-4), pytest.approx(0.1192, abs=1e-4)]
    assert unit([-1.0, 1e-9], "logprob") == [math.exp(-1), 1.0]
    assert unit([1.0000001, -1e-7, 0.3], "probability") == [1.0, 0.0, 0.3], "what 32 bits round"
    assert unit([1.2], "probability") == [1.2], "wrong, and left for who can name the scorer"


def test_borda_gives_the_paper_s_votes():
    """METHODS 17: N = 4, p = 0.5 gives 2, 1.732, 1.414, 1."""
    ranked = [candidate(a, weight=w) for a, w in (("a", 0.1), ("b", 0.9), ("c", 0.5), ("d", 0.7))]
    votes = dict(borda(ranked).votes)
    assert [round(votes[f"it is {a}"], 3) for a in "bdca"] == [2, 1.732, 1.414, 1]
    assert borda(ranked).answer == "it is b"


def test_borda_between_majority_and_best():
    two_against_one = [candidate("a", weight=0.1), candidate("a", weight=0.2), candidate("b", weight=0.9)]
    assert borda(two_against_one, p=0).votes == (("it is a", 2.0), ("it is b", 1.0))
    assert borda(two_against_one, p=4).answer == "it is b"


def test_borda_leaves_out_the_silent_and_ranks_equals_by_who_came_first():
    silent = [candidate(None, weight=9.0), candidate("a", weight=1.0), candidate("b", weight=1.0)]
    choice = borda(silent)
    assert choice.answer == "it is a"
    assert dict(choice.votes) == pytest.approx({"it is a": 2**0.5, "it is b": 1.0})
    assert choice.candidates == tuple(silent)
    assert borda([candidate(None)]).answer is None
