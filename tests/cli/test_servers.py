"""`-m URL`, [models.NAME], `ponder doctor URL` and `ponder mock`, as commands in processes of their own."""

import json
import re
import signal
import urllib.request

import pytest

from ponder import config
from ponder.core.errors import UnknownName, UsageError

QUESTION = "What is 17 + 48 - 29?"


@pytest.fixture
def mock(ponder):
    """The mock server's address."""
    process = ponder.start("mock", "--port", "0", "--dialect", "vllm")
    said = process.stderr.readline()
    yield re.search(r"http://[\d.:]+", said)[0]
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 0
    process.stdout.close()
    process.stderr.close()


def counters(url):
    with urllib.request.urlopen(f"{url}/mock/counters") as answer:  # noqa: S310 - our own mock
        return json.load(answer)


def test_a_server_is_probed_once_and_then_used(ponder, mock):
    done = ponder("solve", QUESTION, "-m", f"{mock}/v1#mock", "-s", "self-consistency:n=3", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["model"], told["stop"]) == (0, "mock", "finished")
    assert told["usage"]["estimated"] is False
    assert "what it can do, once" in done.stderr
    before = counters(mock)
    again = ponder("solve", QUESTION, "-m", f"{mock}/v1#mock", "-s", "self-consistency:n=3", "--json")
    assert "once" not in again.stderr
    after = counters(mock)
    told = json.loads(again.stdout)
    assert after["requests"] - before["requests"] == told["usage"]["calls"] == 3
    assert after["completion_tokens"] - before["completion_tokens"] == told["usage"]["completion"]

    looked = ponder("doctor", f"{mock}/v1")
    assert looked.returncode == 0
    for fact in ("vllm", "token ids", "continue", "32,768"):
        assert fact in " ".join(looked.stdout.split())


def test_a_name_with_prices_makes_dollars_a_budget(ponder, mock):
    (ponder.folder / "ponder.toml").write_text(
        f'[models.cheap]\nurl = ["{mock}/v1"]\nmodel = "mock"\nprompt = 0.5\ncompletion = 2.0\nkey = "${{env:KEY}}"\n'
    )
    words = ("solve", QUESTION, "-m", "cheap", "-s", "self-consistency:n=16,max_tokens=60", "-b", "$0.002")
    done = ponder(*words, "--json", env={"KEY": "sk-canary-1234567890"})
    told = json.loads(done.stdout)
    assert (told["model"], told["stop"], told["budget"]) == ("cheap", "budget", "$0.002")
    assert 0 < told["usage"]["dollars"] <= 0.002
    assert told["usage"]["dollars"] == pytest.approx(
        (told["usage"]["prompt"] * 0.5 + told["usage"]["completion"] * 2.0) / 1e6, abs=2e-8
    )
    assert "$0.00" in ponder(*words, env={"KEY": "sk-canary-1234567890"}).stderr
    home = b"".join(p.read_bytes() for p in ponder.home.rglob("*") if p.is_file())
    assert b"canary" not in home, "a key is never written down"
    unset = ponder(*words)
    assert (unset.returncode, unset.stdout) == (2, "")
    assert "in the environment as KEY" in unset.stderr


def test_a_server_that_is_not_there(ponder):
    done = ponder("solve", QUESTION, "-m", "http://127.0.0.1:9/v1")
    assert (done.returncode, done.stdout) == (4, "")
    assert "127.0.0.1:9 cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
    looked = ponder("doctor", "http://127.0.0.1:9/v1")
    assert looked.returncode == 4
    assert "cannot be reached" in looked.stdout
    assert ponder("doctor", "nowhere").returncode == 2
    assert "no address" in ponder("solve", QUESTION, "-m", "http://user:secret@/v1").stderr
    assert ponder("mock", "--dialect", "vlm").returncode == 2


@pytest.mark.parametrize(
    ("toml", "error", "says"),
    [
        ("[models.a]\n", UsageError, "needs a url"),
        ("[models]\na = 1\n", UsageError, "tables"),
        ('[models.a]\nurl = "http://x"\nurll = 1\n', UnknownName, "url"),
        ('[models.a]\nurl = "http://x"\nprompt = 1\n', UsageError, "both prices"),
        ('[models.a]\nurl = "http://x"\nprompt = -1\ncompletion = 1\n', UsageError, "0 or more"),
        ('[models.a]\nurl = "http://x"\ndialect = "vlm"\n', UnknownName, "vllm"),
        ('[models.a]\nurl = "http://x"\nkey = 7\n', UsageError, "text in quotes"),
        ("modles = 1\n", UnknownName, "models"),
    ],
)
def test_what_makes_no_sense_in_the_settings(tmp_path, toml, error, says):
    (tmp_path / "ponder.toml").write_text(toml)
    with pytest.raises(error, match=says):
        config.settings({}, tmp_path)


def test_keys_are_references(tmp_path):
    (tmp_path / "key").write_text("sk-1\n")
    assert config.secret("${env:K}", "key", {"K": "sk-2"}) == "sk-2"
    assert config.secret(f"file:{tmp_path / 'key'}", "key") == "sk-1"
    assert config.secret(None, "key") is None
    for wrong in ("sk-canary", "${env:K}", "${K}", f"file:{tmp_path / 'none'}"):
        with pytest.raises(UsageError) as caught:
            config.secret(wrong, "key", {})
        assert "canary" not in str(caught.value)
