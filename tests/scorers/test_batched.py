"""Joined calls against the same calls alone."""

import random

import pytest
import trio
from support import virtual

from ponder import EngineError
from ponder.scorers.batched import Batched


class Model:
    """Squares, a second a batch; it remembers its batches, and refuses some things."""

    def __init__(self, bad=()):
        self.batches, self.running, self.bad = [], 0, bad

    async def __call__(self, things):
        self.running += 1
        assert self.running == 1, "one batch at a time"
        try:
            self.batches.append(list(things))
            await trio.sleep(1)
            if set(things) & set(self.bad):
                raise EngineError("The model broke.")
            return [thing * thing for thing in things]
        finally:
            self.running -= 1


async def ask(batched, things, found, after=0.0):
    await trio.sleep(after)
    found[tuple(things)] = await batched(things)


def test_calls_of_the_same_moment_are_one_batch_and_those_meanwhile_the_next():
    model, found = Model(), {}

    async def main():
        batched = Batched(model)
        async with trio.open_nursery() as nursery:
            for n in range(6):
                nursery.start_soon(ask, batched, [n, n + 10], found, 0.0 if n < 3 else 0.5)

    virtual(main)
    assert [len(batch) for batch in model.batches] == [6, 6]
    assert found == {(n, n + 10): [n * n, (n + 10) ** 2] for n in range(6)}


def test_a_batch_is_no_larger_than_its_most_and_no_call_is_cut():
    model, found = Model(), {}

    async def main():
        batched = Batched(model, most=4)
        async with trio.open_nursery() as nursery:
            for n in range(5):
                nursery.start_soon(ask, batched, [n, n + 10, n + 20], found)
            nursery.start_soon(ask, batched, list(range(100, 110)), found)
            nursery.start_soon(ask, batched, [], found)

    virtual(main)
    assert max(map(len, model.batches)) == 10
    assert all(len(batch) <= 4 or len(batch) == 10 for batch in model.batches)
    assert found[()] == []
    assert all(values == [n * n for n in things] for things, values in found.items())


@pytest.mark.parametrize("seed", range(30))
def test_values_are_those_of_the_function_alone_and_who_leaves_harms_nobody(seed):
    chance, model, found = random.Random(seed), Model(), {}
    calls = [[n * 10 + i for i in range(chance.randint(0, 3))] for n in range(1, 20)]
    patience = [chance.choice([0.0, 0.5, 1.2, 1.9, 100.0]) for _ in calls]
    after = [chance.choice([0.0, 0.0, 0.3, 1.0, 1.5]) for _ in calls]

    async def one(batched, things, patience, after):
        await trio.sleep(after)
        with trio.move_on_after(patience):
            await ask(batched, things, found)

    async def main():
        batched = Batched(model, most=chance.choice([1, 5, 64]))
        async with trio.open_nursery() as nursery:
            for each in zip(calls, patience, after, strict=True):
                nursery.start_soon(one, batched, *each)

    virtual(main)
    for things, waits in zip(calls, patience, strict=True):
        if waits == 100:
            assert found[tuple(things)] == [n * n for n in things]
    assert all(values == [n * n for n in things] for things, values in found.items())


def test_an_error_is_for_everyone_in_the_batch_and_for_nobody_else():
    model, found, errors = Model(bad={3}), {}, []

    async def one(batched, n, after):
        try:
            await ask(batched, [n], found, after)
        except EngineError as error:
            errors.append((n, str(error)))

    async def main():
        batched = Batched(model)
        async with trio.open_nursery() as nursery:
            for n in range(6):
                nursery.start_soon(one, batched, n, 0.0 if n < 4 else 0.5)

    virtual(main)
    assert sorted(n for n, _ in errors) == [0, 1, 2, 3]
    assert found == {(4,): [16], (5,): [25]}
