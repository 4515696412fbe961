"""`ponder tasks`: what can be measured, listed and explained."""

import json
from importlib.util import find_spec

import pytest

from ponder.cli.tasks import explained, listed
from ponder.evals.tasks import gym, hub, known, suites
from ponder.evals.tasks.spec import read

MADE_UP = pytest.mark.skipif(find_spec("reasoning_gym") is None, reason="reasoning-gym is not installed")


@MADE_UP
def test_everything_with_a_name_is_listed(ponder):
    told = json.loads(ponder("tasks", "--json").stdout)
    names = [task["name"] for task in told]
    assert len(set(names)) == len(names)
    assert {*gym.names(), *hub.KNOWN, *suites.SUITES, "countdown-lines", "simulated"} < set(names)
    assert {"name": "chain_sum", "source": "reasoning-gym", "family": "arithmetic", "what": ""} in told
    assert {task["source"] for task in told} == set(known.SOURCES)
    shown = ponder("tasks", env={"COLUMNS": "80"}).stdout
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert set(names) <= set(shown.replace(",", " ").replace(";", " ").split())


def test_without_reasoning_gym_the_rest_is_listed(monkeypatch, capsys):
    monkeypatch.setattr(gym.importlib.util, "find_spec", lambda name: None)
    assert {task["source"] for task in listed()} == set(known.SOURCES) - {"reasoning-gym"}
    assert "pip install 'ponder[evals]'" in capsys.readouterr().err


@MADE_UP
def test_a_generated_task_with_the_problems_that_eval_takes(ponder):
    about = json.loads(ponder("tasks", "chain_sum:min_terms=2,max_terms=2", "--json").stdout)
    assert {"name": "min_terms", "type": "int", "default": "2"} in about["parameters"]
    assert about["answers"] == [{"kind": "math", "grader": "math"}]
    items = gym.load(read("chain_sum:max_terms=2,min_terms=2"), 2, 0, 0).items
    assert [example["question"] for example in about["examples"]] == [i.problem.question for i in items]
    assert [example["gold"] for example in about["examples"]] == [i.gold for i in items]
    assert about["command"] == "ponder eval chain_sum:max_terms=2,min_terms=2 --limit 20"
    shown = ponder("tasks", "chain_sum", env={"COLUMNS": "80"}).stdout
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert shown.endswith("Measure it: ponder eval chain_sum --limit 20\n")
    assert gym.load(read("word_sorting"), 1, 0, 0).items[0].grader == gym.GRADER
    assert "the task's own scorer" in " ".join(ponder("tasks", "word_sorting").stdout.split())


@MADE_UP
def test_a_suite_says_all_kinds_of_its_answers(ponder):
    about = json.loads(ponder("tasks", "sys2bench", "--json").stdout)
    told = {(answer["kind"], answer["grader"]) for answer in about["answers"]}
    items = suites.load(read("sys2bench"), 60, 0, 0).items
    assert told == {(item.problem.kind, item.grader) for item in items}


@pytest.mark.parametrize("name", [*hub.KNOWN, "hf:owner/name"])
def test_of_the_hub_nothing_is_fetched(name, monkeypatch):
    monkeypatch.setattr(hub, "fetch", lambda *_: pytest.fail("it was fetched"))
    about = explained(name)
    assert about["examples"] == []
    assert {"config", "split", "revision"} <= {p["name"] for p in about["parameters"]}
    assert about["command"] == f"ponder eval {name} --limit 20"


def test_kinds_of_the_hub_are_those_of_its_rows(monkeypatch):
    right = {"Question": "Q?", "Correct Answer": "a", "Record ID": "r", "High-level domain": "d"} | {
        f"Incorrect Answer {n}": f"w{n}" for n in (1, 2, 3)
    }
    rows = {
        "gsm8k": {"question": "1 + 1?", "answer": "#### 2"},
        "gpqa-diamond": right,
        "mbpp": {"text": "Add.", "test_list": ["assert f(1) == 1"], "task_id": 1},
    }
    for name, row in rows.items():
        monkeypatch.setattr(hub, "fetch", lambda *_, row=row: [("row 1", row)])
        [item] = hub.load(read(name), 1, 0, 0).items
        assert known.explain(name).answers == ((item.problem.kind, item.grader),)


def test_a_file(ponder):
    rows = [{"question": f"[red]What is {n} + 1?\n" + "x" * 500, "answer": str(n + 1)} for n in range(3)]
    (ponder.folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    about = json.loads(ponder("tasks", "mine.jsonl", "--json").stdout)
    assert [example["gold"] for example in about["examples"]] == ["1", "2"]
    assert about["answers"] == [{"kind": "math", "grader": "math"}]
    shown = " ".join(ponder("tasks", "mine.jsonl").stdout.split())
    assert "[red]What is 0 + 1? xx" in shown
    assert "x…" in shown, "a long question is cut"


def test_the_simulated_one_is_for_the_simulated_model(ponder):
    assert "ponder eval simulated -m simulated --limit 20" in ponder("tasks", "simulated").stdout
    assert "numbers" in ponder("tasks", "countdown-lines").stdout


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("chain_sums", "Did you mean chain_sum or decimal_chain_sum? List them", marks=MADE_UP),
        pytest.param("zzzqq", "There is no task named 'zzzqq'. List them: ponder tasks\n", marks=MADE_UP),
        pytest.param("chain_sum:min_term=3", "Did you mean min_terms", marks=MADE_UP),
        ("sys2bench:family=logics", "Did you mean logic?"),
        ("gsm8k:splt=test", "Did you mean split"),
        ("simulated:sead=3", "Did you mean spread or seed?"),
        ("nowhere.jsonl", "nowhere.jsonl cannot be read"),
        ("chain_sum:3", "chain_sum:option=value"),
    ],
)
def test_what_there_is_not(ponder, name, says):
    done = ponder("tasks", name)
    assert says in done.stderr
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
