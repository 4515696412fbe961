"""`ponder attack`, as a person types it, and what a machine without its models makes of its run file."""

import json
import shutil

import pytest

WORDS = ("addition", "-m", "simulated:skill=0.5", "--goal", "42", "-s", "direct", "--limit", "3")


def test_a_red_team_attacks_and_a_laptop_reads_what_came_of_it(ponder, tmp_path):
    done = ponder("attack", *WORDS, "--attacker", "simulated:skill=0.2", "--attempts", "3")
    assert done.returncode == 0, done.stderr
    assert "red-team on addition, goal 42" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if " direct " in line]
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    assert "the attacker wrote" in done.stdout
    [run] = json.loads(ponder("runs", "--json").stdout)
    laptop = tmp_path / "laptop"
    (laptop / "runs").mkdir(parents=True)
    shutil.copy(ponder.home / "runs" / f"{run['run']}.sqlite", laptop / "runs")
    page = ponder("report", run["run"], "-o", "page.html", home=laptop)
    assert page.returncode == 0, page.stderr
    assert "Under attack" in (ponder.folder / "page.html").read_text()
    ponder("export", run["run"], "-o", "rows.jsonl", home=laptop)
    rows = [json.loads(line) for line in (ponder.folder / "rows.jsonl").read_text().splitlines()]
    assert {(row["attack"], row["goal"], row["target"]) for row in rows} == {("red-team", "42", "42")}
    assert [(row["strength"], row["tries"]) for row in rows] == [(0, None), (3, 3)] * 3
    assert all(row["succeeded"] == (row["answer"] == "42") for row in rows)
    budget = rows[0]["budget"]
    again = ponder(
        "eval", "--replay", run["run"], "-s", "direct", "-b", budget, "--ray", "local", home=laptop
    )
    assert again.returncode == 0, again.stderr
    assert "made here and not on the cluster" in again.stderr
    assert again.stdout.endswith(done.stdout), "the same table, below that of the strategies"


def test_problems_that_were_dropped_are_in_the_report(ponder):
    done = ponder("attack", *WORDS, "--seed", "11", "--strength", "0", "--report", "page.html")
    assert done.returncode == 0, done.stderr
    said = "1 problem was dropped, because what the attacker wants coincides with what is right"
    assert said in " ".join(done.stderr.split())
    assert (ponder.folder / "page.html").read_text().count(said) == 2, (
        "under attacks, and where all that was dropped is"
    )


def test_words_that_do_not_go_together_are_refused(ponder):
    for more in ("--attempts", "3"), ("--attack", "think-less", "--attacker", "simulated"):
        refused = ponder("attack", *WORDS, *more)
        assert refused.returncode == 2
        assert "are for --attack red-team" in refused.stderr
    refused = ponder("attack", *WORDS, "-m", "attacker=simulated")
    assert refused.returncode == 2
    assert "attacker" in refused.stderr


def test_a_cluster_that_is_not_there_is_told_before_anything_is_begun(ponder):
    for more, said in (
        (("--workers", "2"), "Say which with --ray"),
        (("--ray", "127.0.0.1:1"), "No Ray cluster answers at 127.0.0.1:1"),
        (("--ray", "127.0.0.1:99999"), "is no address of a Ray cluster"),
        (("--ray", "local", "--attack", "soft-tokens"), "not on a cluster"),
    ):
        refused = ponder("attack", *WORDS, *more)
        assert refused.returncode == 2
        assert said in " ".join(refused.stderr.split())
    assert json.loads(ponder("runs", "--json").stdout or "[]") == []


def test_soft_tokens_are_found_and_tried_and_the_same_command_goes_on(ponder, tmp_path):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from engines.test_transformers import byte_level

    tokenizer = byte_level(bos=True)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=1024, eos_token_id=tokenizer.eos_token_id, **shape
    )
    for part in transformers.LlamaForCausalLM(config), tokenizer:
        part.save_pretrained(tmp_path / "model")
    words = (
        "addition",
        "-m",
        str(tmp_path / "model"),
        "--attack",
        "soft-tokens",
        "--goal",
        "42",
        "--steps",
        "2",
    )
    words = (*words, "--strength", "0", "--strength", "2", "--think", "4", "--limit", "2")
    done = ponder("attack", *words)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert (
        "Looking for 2 soft tokens for 42, in 2 steps. 2 soft tokens for 42: -log p of what is wanted" in said
    )
    assert len(list((ponder.home / "runs").glob("*.soft.npz"))) == 1
    assert "soft-tokens on addition, goal 42" in done.stdout
    again = ponder("attack", *words)
    assert again.returncode == 0, again.stderr
    assert "Looking" not in again.stderr
    assert again.stdout == done.stdout
    assert len(json.loads(ponder("runs", "--json").stdout)) == 1


def test_soft_tokens_ask_for_a_model_with_gradients(ponder):
    refused = ponder("attack", *WORDS, "--attack", "soft-tokens")
    assert refused.returncode == 2
    assert "which simulated:skill=0.5 does not give. Give one model with -m: a folder" in refused.stderr
