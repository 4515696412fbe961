"""Where settings come from, and which wins."""

import json
from pathlib import Path

import pytest

from ponder import UnknownName, UsageError
from ponder.config import Settings, settings


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(tmp_path):
    nothing = settings({}, tmp_path)
    assert (nothing.model, nothing.strategy, nothing.budget, nothing.threads) == (
        None,
        "self-consistency",
        "4k",
        None,
    )
    assert nothing.home.name == "ponder"
    text = 'home = "there"\nmodel = "smollm2"\nbudget = "8k"\nthreads = 2\n'
    (tmp_path / "ponder.toml").write_text(text)
    environ = {"PONDER_BUDGET": "1k", "PONDER_STRATEGY": "", "PONDER_NOTHING": "x"}
    assert settings(environ, tmp_path) == Settings(
        Path("there"), "smollm2", "self-consistency", "1k", 2, file=tmp_path / "ponder.toml"
    )
    assert settings({"PONDER_THREADS": "4"}, tmp_path).threads == 4


def test_a_home_may_be_written_from_the_user_s_folder(tmp_path):
    there = settings({"PONDER_HOME": "~/ponder"}, tmp_path)
    assert there.runs == Path.home() / "ponder" / "runs"
    assert there.models == Path.home() / "ponder" / "models"


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ('modle = "x"', UnknownName, "model"),
        ("strategy = 3", UsageError, "text in quotes"),
        ("threads = 0", UsageError, "from 1 up"),
        ('threads = "two"', UsageError, "whole number"),
        ("threads", UsageError, "cannot be read"),
        ('deterministic = "perhaps"', UsageError, "true or false"),
        ('engine = "vllm"', UsageError, "llama.cpp, openvino"),
        ('library = "none.so"', UsageError, "no such file"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path, text, error, says):
    (tmp_path / "ponder.toml").write_text(text)
    with pytest.raises(error, match=says):
        settings({}, tmp_path)


def test_a_library_that_is_no_llama_cpp_is_refused(ponder, model):
    other = ponder.folder / "other.so"
    other.write_bytes(b"not a library")
    done = ponder("solve", "What is 2 + 3?", "-m", model, env={"PONDER_LIBRARY": str(other)})
    assert done.returncode == 2
    assert "cannot be used" in done.stderr
    assert "make native" in done.stderr


def test_a_deterministic_engine_answers_the_same(ponder, model):
    words = ("solve", "What is 2 + 3?", "-m", model, "-s", "self-consistency:n=3,max_tokens=20", "--json")
    texts = [
        [
            c["text"]
            for c in json.loads(ponder(*words, env={"PONDER_DETERMINISTIC": "1"}).stdout)["candidates"]
        ]
        for _ in range(2)
    ]
    assert texts[0] == texts[1]


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "ponder.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        settings({}, tmp_path)


def test_the_engine_is_chosen_by_a_setting(ponder, model):
    pytest.importorskip("openvino")
    openvino = {"PONDER_ENGINE": "openvino"}
    done = ponder("solve", "What is 2 + 3?", "-s", "cot", "-m", model, "--json", env=openvino)
    assert done.returncode in (0, 1), done.stderr
    told = ponder("doctor", "-m", model, env=openvino)
    assert "which openvino asks for" in told.stdout + told.stderr
    assert json.loads(done.stdout)["usage"]["completion"] > 0
    both = ponder("solve", "1?", "-m", model, env={**openvino, "PONDER_DETERMINISTIC": "1"})
    assert both.returncode == 2
    assert "no deterministic mode" in both.stderr
