"""Soft tokens: what is found on tiny random models, that it changes what they say, and who cannot have it."""

import random
import sys
from dataclasses import replace
from functools import partial

import anyio
import numpy as np
import pytest

from ponder.cli import attacking
from ponder.core.calls import Sampling
from ponder.core.errors import StoreError, UsageError
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.evals.attacks import Asked, attacked
from ponder.evals.attacks.kept import Kept
from ponder.evals.attacks.soft_tokens import LEARNT, Reached, SoftTokens, capped
from ponder.evals.attacks.sums import drawn

SOFT = SoftTokens("addition", "42", 2, steps=20, batch=2, rate=0.3, thinking=(2, 6))


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
        for more in ({"seed": 1}, {"steps": 9}, {"thinking": (9,)})
    ]
    names = [name for soft in [*searches, *others] for name in soft.names]
    assert len(names) == len(set(names)) == 3 * 5 + 3
    assert len({tuple(soft.training) for soft in searches}) == 1
    for item in attacked(asked).items:
        about = item.meta["attacked"]
        names = asked.soft(about["goal"], about["strength"]).names
        assert f"<BEGIN IGNORE> {' '.join(names)} </END" in item.problem.question or not about["strength"]


def test_the_search_makes_the_target_likelier_after_a_chain_and_keeps_to_the_cap(engine):
    width, most = anyio.run(engine.embeddings)
    table = engine._passes._model.get_input_embeddings().weight
    before = table.detach().clone()
    told = []
    found = anyio.run(SOFT.find, engine, None, told.append)
    assert [len(reached.losses) for reached in told] == [8, 16, 20]
    assert np.mean(found.losses[-4:]) < np.mean(found.losses[:4]) - 0.4
    assert found.vectors.shape == (2, width) == (2, 64)
    assert most == pytest.approx(float(before.norm(dim=-1).mean()), rel=1e-5)
    assert (np.linalg.norm(found.vectors, axis=-1) <= most * 1.001).all()
    assert (table == before).all()
    assert table.grad is None, "the model is the caller's"

    async def likely():
        """What the engine that writes says of new chains of problems that were not learnt from, with these vectors and with the first."""
        asked = [await SOFT._chain(engine, one, 6, 1) for one in _others(8)]
        after = [sum(await engine.logprobs(*one)) for one in asked]
        again, _ = await engine.gradients(asked, SOFT._named(found.vectors))
        assert again == pytest.approx(-np.mean(after), rel=1e-3)
        start = np.random.default_rng(0).normal(0.0, most / width**0.5, found.vectors.shape)
        await engine.soften(SOFT._named(capped(start, most)))
        return np.mean(after), np.mean([sum(await engine.logprobs(*one)) for one in asked])

    after, started = anyio.run(likely)
    assert after > started + 0.3


def test_a_chain_is_the_models_own_and_closed_as_budget_forcing_closes_it(engine):
    async def use():
        await engine.soften(dict.fromkeys(SOFT.names, np.zeros(64, np.float32)))
        drawn = [await SOFT._chain(engine, one, length, 3) for one in _others(2) for length in (1, 6)]
        asked = await SOFT._chains(engine, Reached(*np.zeros((3, 2, 64), np.float32), np.zeros(8)))
        return drawn, asked

    drawn, asked = anyio.run(use)
    for path, wanted in [*drawn, *asked]:
        assert path.text.startswith("Let's think step by step.")
        assert path.text.endswith("\nFinal Answer:")
        assert wanted == " 42."
        assert SOFT.names[0] in path.prompt.messages[-1].text
    assert [sum(s.sampled and len(s.token_ids) for s in path.segments) for path, _ in drawn[:2]] == [1, 6]
    assert len(asked) == 2 * SOFT.batch
    assert {path.segments[1].usage.completion for path, _ in asked} <= {*range(7)}


def test_a_search_that_was_stopped_goes_on_to_the_same_vectors(engine, tmp_path):
    async def use():
        whole = await SOFT.find(engine)
        kept = await Kept.of(SOFT, engine, tmp_path / "runs")
        assert kept.read() is None
        with pytest.raises(RuntimeError, match="stopped"):
            await SOFT.find(engine, None, partial(_stop_after, kept, 16))
        reached = kept.read()
        assert len(reached.losses) == 16
        on = await SOFT.find(engine, reached, kept.write)
        return whole, on, kept

    whole, on, kept = anyio.run(use)
    assert on.vectors == pytest.approx(whole.vectors, abs=1e-4)
    assert on.losses == pytest.approx(whole.losses, abs=1e-3)
    assert kept.read().vectors == pytest.approx(on.vectors, abs=0)
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in kept.path.parent.iterdir()] == [kept.path.name]


def _stop_after(kept, steps, reached):
    kept.write(reached)
    if len(reached.losses) == steps:
        raise RuntimeError("stopped")


def _good(steps=20, rows=2):
    return {name: np.zeros((rows, 64), np.float32) for name in Reached._fields[:3]} | {
        "losses": np.ones(steps)
    }


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (b"", "cannot be read"),
        (b"PK\x03\x04 no archive", "cannot be read"),
        (
            b"\x93NUMPY\x01\x00F\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"
            + b" " * 14
            + b"\n"
            + bytes(4),
            "cannot be read",
        ),
        ({}, "cannot be read"),
        (_good(rows=3), "another search"),
        (_good(steps=21), "another search"),
        (_good() | {"first": np.full((2, 64), np.nan, np.float32)}, "no number"),
        (_good() | {"first": np.full((2, 64), None)}, "pickle"),
        (_good() | {"first": np.full((2, 64), "x")}, "no number"),
    ],
)
def test_a_damaged_file_is_named_and_no_pickle_is_read(held, why, tmp_path):
    kept = Kept(tmp_path / "a.soft.npz", SOFT, 64)
    if isinstance(held, bytes):
        kept.path.write_bytes(held)
    else:
        np.savez(kept.path, allow_pickle=True, **held)
    with pytest.raises(StoreError, match=rf"a\.soft\.npz cannot be read.*{why}.*|.*{why}.*Delete it"):
        kept.read()


def test_another_model_and_another_search_have_other_files(engine, tmp_path):
    async def use():
        one = await Kept.of(SOFT, engine, tmp_path)
        longer = await Kept.of(replace(SOFT, thinking=(9,)), engine, tmp_path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine, "embeddings", partial(_embeddings, engine.embeddings))
            trained = await Kept.of(SOFT, engine, tmp_path)
        return {one.path, longer.path, trained.path}

    assert len(anyio.run(use)) == 3


async def _embeddings(real):
    width, norm = await real()
    return width, norm * 1.000001


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
