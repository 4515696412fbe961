"""The recipe, for a few steps: what it reads, that it learns, and that an engine opens what it saves."""

import sys
from functools import partial
from itertools import islice

import anyio
import pytest
from support import attempt

from ponder import Sampling, UsageError
from ponder.evals.countdown import Countdown
from ponder.thinking.prompts import ask
from ponder.training.examples import MARKER, examples, prompt

FAMILY = Countdown(high=9, last=40, largest=81)


def test_without_torch_it_says_what_to_install(monkeypatch):
    from ponder.training.recipe import Recipe

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"ponder\[training\]"):
        Recipe().train()


def test_labels_are_the_ids_of_what_is_learnt_and_fill_up_to_one_length():
    pytest.importorskip("transformers")
    from ponder.training.recipe import IGNORED, batch
    from ponder.training.vocabulary import tokenizer

    words = tokenizer(FAMILY.largest)
    chosen = list(islice(examples(FAMILY), 40))
    ids, labels = batch(chosen, words)
    assert len({len(row) for row in ids + labels}) == 1
    for example, row, wanted in zip(chosen, ids, labels, strict=True):
        assert words.unk_token_id not in row
        text = words.decode(row, skip_special_tokens=True)
        assert text == example.text
        learnt = words.decode([i for i in wanted if i != IGNORED], skip_special_tokens=True)
        assert learnt == "".join(part for part, is_learnt in example.parts if is_learnt)
        ends = [(i, w) for i, w in zip(row, wanted, strict=True) if i == words.eos_token_id]
        assert [w for _, w in ends] == [words.eos_token_id] + [IGNORED] * (len(ends) - 1)


def test_it_learns_and_an_engine_opens_what_it_saves(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from ponder.engines.transformers import Transformers
    from ponder.training.recipe import Recipe

    torch.set_num_threads(1)
    losses = []
    recipe = Recipe(family=FAMILY, steps=12, batch=16, width=32, inner=64, heads=2, layers=1, rate=1e-2)
    recipe.save(tmp_path, lambda _, loss: losses.append(loss))
    assert len(losses) == 12
    assert losses[-1] < losses[0] - 0.5
    engine = Transformers.load(tmp_path, device="cpu")
    item = FAMILY.items("seen", 1)[0]

    async def use():
        asked = ask(item.problem)
        raw = prompt(next(islice(examples(FAMILY), 1)).puzzle)
        assert engine.encode(prompt(_puzzle(item))) == tuple(engine._vocabulary.ids(asked))
        assert all(i > 1 for i in engine.encode(raw)), "nothing is unknown"
        assert engine._vocabulary.ids(ask(item.problem, "cot")) == engine._vocabulary.ids(asked)
        marker = engine.encode("<backtrack>")
        likely = Sampling(max_tokens=3, logit_bias={marker[0]: 50.0}, stop=("<backtrack>",), logprobs=0)
        segment = await engine.extend(asked, likely)
        assert (segment.text, segment.stopped_by, len(marker)) == ("<backtrack>", "<backtrack>", 1)
        return await attempt("self-backtracking:b=2,k=4,max_tokens=20", engine, problem=item.problem)

    result, _ = anyio.run(use)
    assert result.usage.calls >= 4
    assert result.stop == "finished"
    engine.close()


def test_a_special_marker_is_text_where_a_sample_stops_at_it():
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from ponder.engines.transformers import Transformers
    from ponder.training.recipe import Recipe

    recipe = Recipe(family=FAMILY, steps=1, batch=2, width=32, inner=64, heads=2, layers=1)
    model, words = recipe.train()
    words.add_special_tokens({"additional_special_tokens": [MARKER]})
    engine = Transformers(model, words)
    marker = engine.encode(MARKER)
    assert len(marker) == 1
    asked = ask(FAMILY.items("seen", 1)[0].problem)

    async def use(**stop):
        return await engine.extend(asked, Sampling(max_tokens=2, logit_bias={marker[0]: 50.0}, **stop))

    assert anyio.run(partial(use, stop=(MARKER,))).text == ""
    assert anyio.run(partial(use, stop=(MARKER,), stop_ids=marker)).text == MARKER
    engine.close()


def _puzzle(item):
    from ponder.evals.countdown import Puzzle

    return Puzzle.read(item.problem.question)
