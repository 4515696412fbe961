import pytest
from support import attempt, virtual

from ponder import UnknownName, Unsupported, UsageError
from ponder.config import scorers
from ponder.engines.scripted import Scripted
from ponder.scorers import CATALOGUE, ByName, Confidence
from ponder.strategies import BestOfN, parameters, parse


@pytest.mark.parametrize("name", sorted(scorers()))
def test_every_scorer_is_read_as_it_is_written(name):
    scorer = scorers()[name]
    assert str(scorer) == scorer.name == name
    for parameter, kind, default in parameters(type(scorer)):
        if isinstance(default, int) and not isinstance(default, bool):
            other = scorers()[f"{name}:{parameter}={default + 1}"]
            assert other != scorer, kind
            assert scorers()[str(other)] is other


def test_the_same_text_is_the_same_scorer():
    known = ByName()
    assert known["confidence:window=9"] is known["deepconf:window=9"] is known[" confidence:window=9"]
    assert known["confidence"] is not known["confidence:window=9"]


@pytest.mark.parametrize(
    ("by", "error", "says"),
    [
        ("mean-logprobs", UnknownName, "mean-logprob"),
        ("confidence:window=0", UsageError, ">= 1"),
        ("confidence:windw=3", UnknownName, "window"),
        ("", UnknownName, "There are"),
    ],
)
def test_nonsense_is_named_before_the_first_token(by, error, says):
    engine = Scripted.solver(0.5)
    with pytest.raises(error, match=says):
        virtual(attempt, BestOfN(scorer=by), engine)
    assert engine.calls == 0


def test_a_scorer_inside_a_strategy_is_read_as_it_is_written():
    text = "best-of-n:n=8,scorer=(confidence:measure=tail,window=16)"
    strategy = parse(text)
    assert strategy.scorer == "confidence:measure=tail,window=16"
    assert str(strategy) == text
    assert str(BestOfN(n=8, scorer=Confidence("tail", 16))) == text, "a scorer in Python is written likewise"


@pytest.mark.parametrize("by", sorted(set(CATALOGUE) & {"mean-logprob", "confidence"}))
def test_what_a_scorer_reads_is_recorded_without_the_strategy_s_knowing(by):
    result, _ = virtual(attempt, parse(f"best-of-n:n=4,scorer={by}"), Scripted.solver(0.7))
    assert result.answer in ("41", "42", "43")
    assert {c.weight for c in result.choice.candidates} != {0.0}


@pytest.mark.parametrize(("by", "lacks"), [("confidence", "top_logprobs"), ("self-certainty", "certainty")])
def test_what_a_scorer_needs_is_checked(by, lacks):
    engine = Scripted.solver(0.7, without={lacks} - {"certainty"})
    with pytest.raises(Unsupported, match="best-of-n needs"):
        virtual(attempt, parse(f"best-of-n:scorer={by}"), engine)


def test_simulated_joins_by_name():
    scorer = scorers()["simulated:auc=0.9,length=0.5"]
    assert (scorer.auc, scorer.length) == (0.9, 0.5)
    with pytest.raises(UsageError, match="auc"):
        scorers()["simulated:auc=0"]
    assert "simulated" not in list(ByName())
