"""`auto` stops where samples agree, keeps what it sampled and pays for it once, and follows its policy."""

from functools import partial

import pytest
from support import Judge, attempt, close, virtual

from ponder import UnknownName, UsageError
from ponder.core.policy import Policy, Rule
from ponder.engines.scripted import Scripted
from ponder.evals.policies import Policies
from ponder.runtime.preflight import followed_by, misfits
from ponder.strategies import parse

EASY, HARD = "self-consistency:n=4", "self-consistency:n=10"


def policy(*rules, **more):
    return {"default": Policy("default", rules, **more)}


def solved(strategy, script, policies=None, budget=None, seed=0, **more):
    engine = Scripted(script)
    result, events = virtual(partial(attempt, policies=policies, seed=seed, **more), strategy, engine, budget)
    return result, events, engine


def torn(prefix):
    return {"The answer is 41.": 0.5, "The answer is 42.": 0.5}


def test_it_stops_at_once_where_samples_agree():
    for seed in range(5):
        result, events, engine = solved("auto", lambda _: {"The answer is 42.": 1.0}, seed=seed)
        assert (result.answer, engine.calls) == ("42", 4)
        assert not [e for e in events if e.kind == "delegated"]


def test_what_was_sampled_is_kept_and_paid_once():
    found = policy(Rule(0, 0.0, HARD))
    for seed in range(20):
        result, events, engine = solved("auto", torn, found, seed=seed)
        disagreed = bool([e for e in events if e.kind == "delegated"])
        assert engine.calls == (10 if disagreed else 4)
        assert len(result.choice.candidates) == engine.calls
        assert result.usage.completion == engine.completion_tokens


def test_the_policy_is_asked_with_difficulty_and_budget():
    found = policy(Rule(10, 0.0, EASY), Rule(10, 0.4, HARD), Rule(1000, 0.0, "direct"))

    def named(share, budget):
        def script(prefix):
            return {"The answer is 42.": share, "The answer is 41.": 1 - share}

        for seed in range(50):
            _, events, _ = solved("auto", script, found, budget, seed)
            for event in events:
                if event.kind == "delegated":
                    first = next(e for e in events if e.kind == "answered").answers
                    keys = [key for _, _, key in first]
                    most = max(map(keys.count, keys)) / len(keys)
                    yield most, event.strategy

    for share, budget in ((0.5, "999"), (0.8, "999")):
        for most, strategy in named(share, budget):
            assert strategy == (HARD if most <= 0.6 else EASY)
    assert {strategy for _, strategy in named(0.5, None)} == {"direct"}


def test_direct_answers_that_agree_end_it_before_any_reasoning():
    def simple(prefix):
        direct = "directly" in prefix.prompt.messages[0].text
        return {"42": 1.0} if direct else {"Let me think at length about it. The answer is 42.": 1.0}

    result, _, engine = solved("auto:direct=3", simple)
    assert (result.answer, engine.calls) == ("42", 3)
    one, _, with_one = solved("auto:direct=1", simple)
    assert (one.answer, with_one.calls) == ("42", 5), "one answer agrees with nobody"


@pytest.mark.parametrize("budget", ["3", "4", "6", "9"])
def test_a_budget_below_the_probe_gives_what_it_pays_for(budget):
    def script(prefix):
        return (
            {"42": 1.0} if "directly" in prefix.prompt.messages[0].text else {"Well. The answer is 41.": 1.0}
        )

    result, _, engine = solved("auto:direct=1", script, None, budget)
    assert result.usage.completion == engine.completion_tokens <= int(budget)
    assert result.answer in ("42", "41")


def test_where_the_policy_says_so_there_is_no_probe():
    found = policy(Rule(0, 0.0, "direct", alone=True), Rule(500, 0.0, HARD))
    assert solved("auto", torn, found, "499")[2].calls == 1
    assert solved("auto", torn, found)[2].calls in (4, 10)
    assert solved("auto:then=(direct)", torn, found, "499")[2].calls in (4, 5)


def test_agreement_is_doubted_where_the_policy_says_so():
    weights = {"bias": 2.0, "agreement": -2.0, "length": 0.5}  # long texts look hard
    rules = (Rule(0, 0.0, EASY), Rule(0, 0.8, HARD, agreed=True))
    found = policy(*rules, weights=weights)
    for text, calls in (("The answer is 42.", 4), ("Well, " * 40 + "the answer is 42.", 10)):
        _, events, engine = solved("auto", lambda _, text=text: {text: 1.0}, found)
        assert engine.calls == calls
        assert [e.strategy for e in events if e.kind == "delegated"] == [HARD] * (calls == 10)
    assert (
        solved("auto", lambda _: {"Well, " * 40 + "the answer is 42.": 1.0}, policy(*rules[:1]))[2].calls == 4
    )


def test_a_policy_of_this_model_is_found_without_its_name():
    model = Scripted(torn).capabilities.name
    mine = Policy("mine", (Rule(0, 0.0, HARD),), model)
    found = policy(Rule(0, 0.0, EASY)) | {
        "any": Policy("any", (Rule(0, 0.0, "direct"),)),
        "another": Policy("another", (Rule(0, 0.0, "direct"),), "another model"),
        "scored": Policy("scored", (Rule(0, 0.0, "direct"),), model, "arithmetic"),
    }

    def followed(policies, asked="auto"):
        return {
            e.strategy
            for seed in range(10)
            for e in solved(asked, torn, policies, seed=seed)[1]
            if e.kind == "delegated"
        }

    assert followed(found) == {EASY}, "only one that names the model is found so"
    assert followed(found | {"mine": mine}) == {HARD}
    assert followed(found | {"mine": mine}, "auto:policy=default") == {EASY}
    engines = {"solver": Scripted(torn)}
    assert followed_by([parse("auto")], engines, found | {"mine": mine}) == ["mine"]
    assert followed_by([parse("auto"), parse("auto:then=(direct)")], engines, found) == ["default"]
    assert not misfits([parse("auto")], engines, found | {"mine": mine})


def test_a_policy_may_name_a_temperature():
    """At temperature 0 the likeliest text alone is drawn after the probe."""

    def likely(prefix):
        return {"The answer is 42.": 0.6, "The answer is 41.": 0.4}

    found = policy(Rule(0, 0.0, "self-consistency:n=8,temperature=0"))
    for seed in range(20):
        result, events, engine = solved("auto", likely, found, seed=seed)
        if [e for e in events if e.kind == "delegated"]:
            assert engine.calls == 8
            assert [c.answer for c in result.choice.candidates[4:]] == ["42"] * 4


def test_then_takes_the_place_of_the_policy():
    assert (
        str(parse("auto:then=(best-of-n:n=8,scorer=arithmetic)"))
        == "auto:then=(best-of-n:n=8,scorer=arithmetic)"
    )
    names = set()
    for seed in range(10):
        _, events, _ = solved("auto:then=(direct)", torn, policy(Rule(0, 0.0, HARD)), seed=seed)
        names |= {e.strategy for e in events if e.kind == "delegated"}
    assert names == {"direct"}
    _, events, _ = solved("auto:then=(direct)", lambda _: {"The answer is 42.": 1.0})
    assert [e.strategy for e in events if e.kind == "delegated"] == ["direct"], "also where samples agree"


def test_a_scorer_is_a_sign_and_its_policy_its_own():
    weights = {"bias": 5.0, "score": -10.0}
    found = policy(Rule(0, 0.0, EASY), Rule(0, 0.5, HARD), scorer="judge", weights=weights)
    for value, expected in ((0.9, EASY), (0.1, HARD)):
        scorers = {"judge": Judge(lambda _, value=value: value)}
        names = set()
        for seed in range(10):
            _, events, _ = solved("auto:scorer=judge", torn, found, seed=seed, scorers=scorers)
            names |= {e.strategy for e in events if e.kind == "delegated"}
        assert names == {expected}


def test_a_policy_for_another_model_or_scorer_is_told_and_not_followed():
    found = policy(Rule(0, 0.0, EASY)) | {
        "other": Policy("other", (Rule(0, 0.0, HARD),), model="another model"),
        "scored": Policy("scored", (Rule(0, 0.0, HARD),), scorer="arithmetic"),
    }
    for name, why in (("other", "another model"), ("scored", "scorer arithmetic")):
        strategy = parse(f"auto:policy={name}")
        [told] = misfits([strategy], {"solver": Scripted(torn)}, found)
        assert why in told
        for seed in range(5):
            _, events, _ = solved(strategy, torn, found, seed=seed)
            assert {e.strategy for e in events if e.kind == "delegated"} <= {EASY}
    assert not misfits([parse("auto")], {"solver": Scripted(torn)}, found)
    with pytest.raises(UnknownName, match="scored"):
        solved("auto:policy=scord", torn, found)


def test_it_votes_as_its_samples_do_in_the_long_run():
    """Four samples of p = 0.7: where they agree the answer is theirs, else a fifth is drawn."""

    def script(prefix):
        return {"The answer is 42.": 0.7, "The answer is 41.": 0.3}

    found, runs = policy(Rule(0, 0.0, "self-consistency:n=5,temperature=1,top_k=0")), 300
    asked = "auto:temperature=1,top_k=0"
    right = sum(solved(asked, script, found, seed=seed)[0].answer == "42" for seed in range(runs))
    exact = 0.7**5 + 5 * 0.7**4 * 0.3 + 10 * 0.7**3 * 0.3**2  # a fifth vote cannot overturn four that agree
    assert close(right / runs, exact, runs)


def test_policies_are_found_by_name_and_by_path(tmp_path):
    shelf = Policies(tmp_path)
    assert list(shelf) == ["default"]
    assert shelf["default"].simulated
    (tmp_path / "mine.toml").write_text('[[rule]]\nbudget = 1\nabove = 0\nstrategy = "cot"\n')
    assert list(shelf) == ["default", "mine"]
    assert shelf["mine"].rules == shelf[str(tmp_path / "mine.toml")].rules
    with pytest.raises(KeyError):
        _ = shelf["none"]
    with pytest.raises(KeyError):
        _ = shelf["../mine"]


@pytest.mark.parametrize("itself", ["auto", "auto:policy=mine", "cascade:first=(direct),then=(auto)"])
def test_a_policy_that_would_ask_a_policy_again_is_refused_with_its_line(tmp_path, itself):
    (tmp_path / "mine.toml").write_text(f'[[rule]]\nbudget = 1\nabove = 0\nstrategy = "{itself}"\n')
    with pytest.raises(UsageError, match=r"mine\.toml, line 4: a rule cannot name auto"):
        _ = Policies(tmp_path)["mine"]
