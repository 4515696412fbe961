"""Which model plays which role: on the command line and in the settings."""

import json
from pathlib import Path

import pytest

from ponder import UnknownName, UsageError
from ponder.config import models_by_role, settings
from ponder.strategies import parse

COT = [parse("chain-of-thought")]


def test_the_flag_wins_over_the_settings_and_a_bare_name_is_the_solver(tmp_path):
    set_ = settings({}, tmp_path)
    assert models_by_role((), set_, COT) == {"solver": None}
    assert models_by_role(("A",), set_, COT) == models_by_role(("solver=A",), set_, COT) == {"solver": "A"}
    (tmp_path / "ponder.toml").write_text('model = "B"\n[roles]\nfeedback = "C"\n')
    set_ = settings({}, tmp_path)
    assert (set_.model, set_.roles) == ("B", {"feedback": "C"})
    assert models_by_role((), set_, COT) == {"solver": "B"}, "a role that is not played needs no model"
    assert models_by_role(("A",), set_, COT) == {"solver": "A"}
    assert settings({"PONDER_ROLES": "judge = D; edit=E=F"}, tmp_path).roles == {"judge": "D", "edit": "E=F"}
    assert models_by_role(("simulated:skill=0.5",), set_, COT) == {"solver": "simulated:skill=0.5"}


def test_a_file_may_be_called_like_a_role(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("judge=x.gguf").touch()
    assert models_by_role(("judge=x.gguf",), settings({}, tmp_path), COT) == {"solver": "judge=x.gguf"}


@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        (("feedback=A",), UnknownName, "no role in chain-of-thought named 'feedback'. There are: solver"),
        (("A", "B"), UsageError, "The role solver was given two models, A and B"),
        (("solver=A", "B"), UsageError, "-m judge=NAME"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path, said, error, says):
    with pytest.raises(error, match=says):
        models_by_role(said, settings({}, tmp_path), COT)


@pytest.mark.parametrize(
    "text", ["roles = 3", "[roles]\nfeedback = 1", '[roles]\nsolver = "A"', 'roles = "judge"']
)
def test_roles_in_the_settings_are_models_by_role(tmp_path, text):
    (tmp_path / "ponder.toml").write_text(text)
    with pytest.raises(UsageError, match=r"roles in ponder\.toml"):
        settings({}, tmp_path)


def test_a_wrong_role_is_one_sentence(ponder):
    for words in (("solve", "What is 2 + 3?"), ("eval", "simulated")):
        done = ponder(*words, "-m", "simulated", "-m", "solvr=simulated", "-s", "cot")
        assert done.returncode == 2, done.stderr
        assert done.stderr == "There is no role in chain-of-thought named 'solvr'. Did you mean solver?\n"


def test_json_tells_what_each_role_spent(ponder):
    done = ponder("solve", "What is 2 + 3?", "-m", "simulated", "-s", "cot", "--json")
    told = json.loads(done.stdout)
    assert told["models"] == {"solver": told["model"]}
    assert told["roles"] == {"solver": told["usage"]}


MIXED = ("-s", "mixture-of-agents:n=2,layers=2", "-m", "simulated", "-m", "proposer-2=simulated:skill=0.9")


def test_two_models_and_their_parts_of_the_receipt(ponder):
    done = ponder("solve", "What is 2 + 3?", *MIXED, "-m", "aggregator=simulated", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert list(told["models"]) == ["solver", "proposer-2", "aggregator"]
    assert set(told["roles"]) == {"proposer-1", "proposer-2", "aggregator"}
    assert sum(part["completion"] for part in told["roles"].values()) == told["usage"]["completion"]
    said = ponder("solve", "What is 2 + 3?", *MIXED)
    assert "proposer-2" in said.stderr.splitlines()[-1]
    assert "proposer-2: simulated" in ponder("view").stdout


def test_an_evaluation_takes_models_by_role_and_replays_without_them(ponder):
    words = ("eval", "simulated", *MIXED, "--limit", "6", "-b", "4k")
    done = ponder(*words)
    assert done.returncode == 0, done.stderr
    assert "is complete already" in ponder(*words).stderr
    other = ponder(
        "eval", "simulated", *MIXED[:4], "-m", "proposer-2=simulated:skill=0.1", "--limit", "6", "-b", "4k"
    )
    assert "is complete already" not in other.stderr, "another model in a role is another evaluation"
    runs = json.loads(ponder("runs", "--json").stdout)
    again = ponder("eval", "--replay", runs[-1]["run"], "-s", "mixture-of-agents:n=2,layers=2", "-b", "4k")
    assert again.stdout == done.stdout
