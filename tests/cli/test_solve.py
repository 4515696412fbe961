"""`ponder solve` with a real model, from the question to the receipt."""

import json
import os
import re

QUESTION = "What is 2 + 3?"


def solve(ponder, model, *words, **more):
    return ponder("solve", QUESTION, "-m", model, *words, **more)


def test_json_tells_everything_once(ponder, model):
    done = solve(ponder, model, "-s", "self-consistency:n=4,max_tokens=60", "-b", "400", "--json")
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    told = json.loads(done.stdout)
    keys = "answer budget candidates elapsed failed model models overthought roles run seed stop strategy usage votes"
    assert " ".join(sorted(told)) == keys
    assert (told["stop"], told["model"]) == ("finished", "smollm2-135m")
    assert told["strategy"] == "self-consistency:n=4,max_tokens=60"
    answer = told["answer"]  # whichever: a model of 135M parameters is not asked to be right
    assert answer is not None
    assert told["votes"][0]["answer"] == answer
    assert len(told["candidates"]) == told["usage"]["calls"] == 4
    assert told["usage"]["completion"] == sum(c["tokens"] for c in told["candidates"])
    assert len(re.findall(r"^\d: .* \(\d+ tokens?\)$", done.stderr, re.MULTILINE)) == 4

    [run] = json.loads(ponder("runs", "--json").stdout)
    assert (run["run"], run["completion"]) == (told["run"], told["usage"]["completion"])
    assert (run["answer"], run["stop"], run["model"]) == (answer, "finished", "smollm2-135m")
    for width in ("60", "80", "200"):
        assert told["run"] in ponder("runs", env={"COLUMNS": width}).stdout, "an id is never cut"
    drawn = ponder("view").stdout
    assert QUESTION in drawn
    assert drawn.count(" tokens  ") == 4
    assert "★" in drawn
    assert f"{told['usage']['completion']} completion" in drawn
    assert ponder("view", told["run"]).stdout == drawn
    assert ponder("view", told["run"][-4:]).stdout == drawn
    assert ponder("view", told["run"][:10]).stdout == drawn
    wrong = ponder("view", told["run"][:-1] + "0")
    assert wrong.returncode == 2
    assert f"Did you mean {told['run']}?" in wrong.stderr


def test_the_answer_alone_goes_to_stdout(ponder, model):
    done = ponder("solve", "-", "-m", model, "-s", "direct", "-b", "60", "-q", stdin=f"{QUESTION}\n")
    assert (done.stdout, done.stderr, done.returncode) == ("5\n", "", 0)


def test_the_same_seed_gives_the_same_sample(ponder, model):
    """One sample: what many give may depend on their timing, as the engine's documentation says."""
    told = []
    for seed in (5, 5, 6):
        how = "self-consistency:n=1,temperature=1.5,max_tokens=30,shots=0"
        words = ("-s", how, "--seed", str(seed), "--json")
        told.append(json.loads(solve(ponder, model, *words).stdout))
    texts = [[c["text"] for c in one["candidates"]] for one in told]
    assert texts[0] == texts[1]
    assert told[0]["answer"] == told[1]["answer"]
    assert texts[0] != texts[2]


def test_a_budget_of_nothing(ponder, model):
    done = solve(ponder, model, "-b", "0", "--json")
    told = json.loads(done.stdout)
    assert (told["answer"], told["stop"], told["usage"]["calls"]) == (None, "budget", 0)
    assert done.returncode == 1
    assert done.stderr == (
        "No answer: the budget ended first, after 0 completion tokens in 0 calls. "
        "Give more with -b, for example -b 4k.\n"
    )


def test_a_budget_of_one_token_spends_one(ponder, model):
    done = solve(ponder, model, "-b", "1", "--json")
    told = json.loads(done.stdout)
    assert (told["answer"], told["stop"]) == (None, "budget")
    assert (told["usage"]["completion"], told["usage"]["calls"]) == (1, 1)
    assert done.returncode == 1
    assert "No answer: the budget ended first, after 1 completion token in 1 call." in done.stderr


def test_time_is_a_budget_too(ponder, model):
    done = solve(ponder, model, "-s", "self-consistency:n=64", "-b", "100k,2s", "--json")
    told = json.loads(done.stdout)
    assert told["stop"] == "deadline"
    assert told["elapsed"] < 2 + 1 + 60, "the grace to decide, and a machine that is busy"
    assert done.returncode == (1 if told["answer"] is None else 0)


def test_a_model_that_does_not_stop_is_stopped(ponder, model):
    question = "Count from 1 to 1000, writing every number."
    cut = ponder(
        "solve", question, "-m", model, "-s", "chain-of-thought:max_tokens=20,shots=0", "--kind", "math"
    )
    assert (cut.returncode, cut.stdout) == (1, "")
    assert "No answer: the model came to no end, after 20 completion tokens in 1 call." in cut.stderr
    assert "max_tokens=1024" in cut.stderr
    spent = ponder(
        "solve", question, "-m", model, "-s", "chain-of-thought:shots=0", "-b", "25", "--kind", "math"
    )
    assert (spent.returncode, spent.stdout) == (1, "")
    assert "No answer: the budget ended first, after 25 completion tokens" in spent.stderr


def test_a_prompt_longer_than_the_context(ponder, model):
    done = ponder("solve", "-", "-m", model, "-s", "self-consistency:n=2", stdin="word " * 4000)
    assert (done.returncode, done.stdout) == (4, "")
    last = done.stderr.splitlines()[-1]
    assert re.match(
        r"The prompt has [\d,]+ tokens, and this engine's context 2,048\. Shorten the prompt", last
    )
    assert "Traceback" not in done.stderr
    [run] = json.loads(ponder("runs", "--json").stdout)
    assert (run["stop"], run["completion"]) == ("failed", 0)


def test_nobody_need_read_what_is_said(ponder, model):
    """stderr may be closed: the answer still comes. So may stdout: the run is still kept."""
    reading, writing = os.pipe()
    os.close(reading)
    deaf = solve(ponder, model, "-b", "40", "-s", "direct", stderr=writing)
    assert (deaf.returncode, deaf.stdout) == (0, "5\n")
    mute = solve(ponder, model, "-b", "40", "-s", "direct", "--json", stdout=writing)
    os.close(writing)
    assert mute.returncode == 141
    assert "Traceback" not in mute.stderr
    assert [run["answer"] for run in json.loads(ponder("runs", "--json").stdout)] == ["5", "5"]
