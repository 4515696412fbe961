"""Soft tokens: what is found on tiny random models, that it changes what they say, and who cannot have it."""

import random
import sys
from functools import partial

import anyio
import numpy as np
import pytest

from ponder.cli import attacking
from ponder.core.calls import Sampling
from ponder.core.errors import UsageError
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.evals.attacks import Asked, attacked
from ponder.evals.attacks.soft_tokens import LEARNT, SoftTokens, capped
from ponder.evals.attacks.sums import drawn

SOFT = SoftTokens("addition", "42", 2, steps=12, batch=2, rate=0.3)


@pytest.fixture(scope="module")
def made():
    pytest.importorskip("torch")
    from engines.test_transformers import byte_level, tiny

    tokenizer = byte_level(bos=True)
    return tiny("Llama", tokenizer, max_position_embeddings=1024), tokenizer


@pytest.fixture
def engine(made):
    from ponder.engines.transformers import Transformers

    engine = Transformers(*made)
    yield engine
    engine.close()


def saying(text):
    return Prefix(Prompt((Message("user", text),)))


def test_a_vector_longer_than_the_cap_is_cut_to_it_and_others_stay():
    vectors = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    assert np.allclose(capped(vectors, 1.0), [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]])


@pytest.mark.parametrize("task", ["addition", "multiplication"])
def test_no_problem_that_is_attacked_was_learnt_from(task):
    asked = Asked(task, "soft-tokens", limit=1000, strengths=(0, 1))
    learnt = {one.question for one in asked.searches[0].training}
    assert len(learnt) == LEARNT
    questions = {item.problem.question.rpartition("\n\n")[2] for item in attacked(asked).items}
    assert len(questions) == 1000
    assert not questions & learnt
    others = attacked(Asked(task, "many-shot", limit=1000, strengths=(0,))).items
    assert {item.problem.question for item in others} & learnt, "else nothing had to be left out"


def test_every_search_has_names_of_its_own_and_all_learn_from_the_same_problems():
    asked = Asked("addition", "soft-tokens", strengths=(0, 1, 4), limit=1)
    searches = asked.searches
    assert [(soft.goal, soft.tokens) for soft in searches[:3]] == [("42", 1), ("42", 4), ("plus-one", 1)]
    others = [
        Asked("addition", "soft-tokens", strengths=(1,), **more).searches[0]
        for more in ({"seed": 1}, {"steps": 9})
    ]
    names = [name for soft in [*searches, *others] for name in soft.names]
    assert len(names) == len(set(names)) == 3 * 5 + 2 * 3 - 4
    assert len({tuple(soft.training) for soft in searches}) == 1
    for item in attacked(asked).items:
        about = item.meta["attacked"]
        names = asked.soft(about["goal"], about["strength"]).names
        assert f"<BEGIN IGNORE> {' '.join(names)} </END" in item.problem.question or not about["strength"]


def test_the_search_makes_the_target_likelier_and_keeps_to_the_cap(engine):
    width, most = anyio.run(engine.embeddings)
    table = engine._passes._model.get_input_embeddings().weight
    before = table.detach().clone()
    losses = []
    vectors = anyio.run(SOFT.find, engine, lambda _, loss: losses.append(loss))
    assert len(losses) == 12
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 1
    assert vectors.shape == (2, width) == (2, 64)
    assert most == pytest.approx(float(before.norm(dim=-1).mean()), rel=1e-5)
    assert (np.linalg.norm(vectors, axis=-1) <= most * 1.001).all()
    assert (table == before).all()
    assert table.grad is None, "the model is the caller's"

    async def likely():
        """What the engine that writes says of problems that were not learnt from, with these vectors and with the first."""
        asked = [SOFT._wanted(one) for one in _others(8)]
        found = [sum(await engine.logprobs(*one)) for one in asked]
        again, _ = await engine.gradients(asked, SOFT._named(vectors))
        assert again == pytest.approx(-np.mean(found), rel=1e-3)
        start = np.random.default_rng(0).normal(0.0, most / width**0.5, vectors.shape)
        await engine.soften(SOFT._named(capped(start, most)))
        return np.mean(found), np.mean([sum(await engine.logprobs(*one)) for one in asked])

    found, started = anyio.run(likely)
    assert found > started + 1


def _others(n):
    sums = drawn("addition", random.Random("others"))
    return [one for one in (next(sums) for _ in range(4 * n)) if one not in SOFT.training][:n]


def test_a_gradient_is_what_a_small_step_changes(engine):
    asked = [(saying("Say <a> now <b>."), " one two"), (saying("<b>"), " three")]
    rng = np.random.default_rng(1)
    vectors = {name: rng.normal(size=64).astype(np.float32) for name in ("<a>", "<b>")}

    async def use():
        await engine.soften(vectors)
        loss, slope = await engine.gradients(asked, vectors)
        for row, name in enumerate(vectors):
            step = 1e-2 * slope[row] / np.linalg.norm(slope[row])
            sides = [
                (await engine.gradients(asked, vectors | {name: (vectors[name] + sign * step)}))[0]
                for sign in (1, -1)
            ]
            assert (sides[0] - sides[1]) / 2e-2 == pytest.approx(np.linalg.norm(slope[row]), rel=0.05)
            assert min(sides) < loss < max(sides)

    anyio.run(use)


def test_a_soft_token_is_one_token_that_reads_like_the_embedding_it_is_given(engine, made):
    model, tokenizer = made
    word = tokenizer.encode(" three", add_special_tokens=False)[0]
    vector = model.get_input_embeddings().weight[word].detach().numpy()
    text = "one two{} four"

    async def use():
        plain = engine.count(saying(text.format("<a>")))
        await engine.soften({"<a>": vector})
        soft = saying(text.format("<a>"))
        assert engine.count(soft) < plain, "it was read as text before"
        ids = engine._vocabulary.ids(soft)
        assert [i for i in ids if i >= engine._passes.n_vocab] == [engine._passes.n_vocab]
        spelt = [word if i >= engine._passes.n_vocab else i for i in ids]
        hard = Prefix(Prompt(raw=tokenizer.decode(spelt[1:])))
        assert engine._vocabulary.ids(hard) == spelt
        assert await engine.logprobs(soft, " five six") == pytest.approx(
            await engine.logprobs(hard, " five six"), abs=1e-4
        )
        greedy = Sampling(temperature=0.0, max_tokens=8)
        assert (await engine.extend(soft, greedy)).text == (await engine.extend(hard, greedy)).text
        states = await engine.embed([f"one{of} four" for of in ("<a>", tokenizer.decode([word]), " one")])
        assert states[0] == pytest.approx(states[1], abs=1e-4)
        assert states[0] != pytest.approx(states[2], abs=1e-2)

    anyio.run(use)


def test_a_name_with_another_vector_is_read_anew_though_its_past_is_remembered(engine):
    rng = np.random.default_rng(2)
    asked = saying("one <a> two")

    async def use():
        seen = []
        for vector in (*rng.normal(size=(2, 64)).astype(np.float32),) * 2:
            await engine.soften({"<a>": vector})
            seen.append(await engine.logprobs(asked, " three"))
        assert seen[0] == pytest.approx(seen[2], abs=1e-4)
        assert abs(seen[0][0] - seen[1][0]) > 1e-2
        drawn = [
            await engine.extend(asked, Sampling(temperature=2.0, max_tokens=40, seed=s)) for s in range(5)
        ]
        assert all(i < engine._passes.n_vocab for segment in drawn for i in segment.token_ids)

    anyio.run(use)


def test_what_makes_no_sense_is_refused(engine):
    vector = np.zeros(64, np.float32)

    def refused(said, job, *args):
        with pytest.raises(UsageError, match=said):
            anyio.run(partial(job, *args))

    refused("64 numbers", engine.soften, {"<a>": vector[:3]})
    refused("64 numbers", engine.soften, {"": vector})
    refused("no soft token '<z>'", engine.gradients, [(saying("<z>"), "1")], {"<z>": vector})
    anyio.run(engine.soften, {"<a>": vector})
    refused("text after it", engine.gradients, [(saying("<a>"), "")], {"<a>": vector})
    refused("text after it", engine.gradients, [], {"<a>": vector})
    refused("a soft token", engine.gradients, [(saying("<a>"), "1")], {})


@pytest.mark.parametrize("models", [{"solver": "simulated"}, {"solver": None}, {"solver": "a", "judge": "b"}])
def test_a_model_without_gradients_is_refused(models):
    with pytest.raises(UsageError, match=r"gradients.*folder"), attacking.white_box(models):
        pass


def test_without_torch_it_says_what_to_install(monkeypatch, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "torch", None)
    with (
        pytest.raises(UsageError, match=r"ponder\[transformers\]"),
        attacking.white_box({"solver": str(tmp_path)}),
    ):
        pass


def test_steps_are_for_soft_tokens():
    assert attacking.asked("addition", "soft-tokens", ("42",), (0, 2), 1, 0, 7).searches[0].steps == 7
    with pytest.raises(UsageError, match="--steps is for --attack soft-tokens"):
        attacking.asked("addition", "", (), (), 1, 0, 7)
