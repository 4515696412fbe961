"""Reward models behind a server: a real one, on this machine, which answers in vLLM's shapes."""

import contextlib
import json

import anyio
import pytest
from support import Keys, Scripted

from ponder import (
    BadScore,
    Budget,
    EngineError,
    Prefix,
    Problem,
    Prompt,
    TransientError,
    UsageError,
)
from ponder.runtime.solve import solve
from ponder.scorers import ByName, OutcomeReward, ProcessReward

web = pytest.importorskip("aiohttp.web")

QUESTION = Problem.of("What is 6 * 7?", "math")
TEXTS = ["6 * 7 = 42.\n\nThe answer is 42.", "6 * 7 = 41.", "6 + 7 = 13.\n\nWait.\n\nThe answer is 13."]


@contextlib.asynccontextmanager
async def server(**routes):
    """A server whose routes are functions of what was asked; its address, and all that was asked."""
    asked = []
    app = web.Application()
    for route, answer in routes.items():

        async def handle(request, answer=answer, route=route):
            body = await request.json()
            asked.append((route, body))
            told = answer(body)
            return told if isinstance(told, web.Response) else web.json_response(told)

        app.router.add_post(f"/{route}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0]), asked
    finally:
        await runner.cleanup()


def usage(text):
    return {"prompt_tokens": len(text.split()), "total_tokens": len(text.split()), "completion_tokens": 0}


def pooling(body):
    """Step pooling: for each tag the probabilities of the classes bad and good."""
    steps = body["input"].count("<extra_0>")
    rows = [[round(0.1 * i, 3), round(1 - 0.1 * i, 3)] for i in range(steps)]
    data = [{"index": 0, "object": "pooling", "data": rows}]
    return {
        "id": "pool-1",
        "object": "list",
        "model": body["model"],
        "data": data,
        "usage": usage(body["input"]),
    }


def classify(body):
    probs = [0.1, 0.9] if "42" in body["input"].partition("\n\n")[2] else [0.8, 0.2]
    data = [{"index": 0, "label": "LABEL_1", "probs": probs, "num_classes": 2}]
    return {
        "id": "classify-1",
        "object": "list",
        "model": body["model"],
        "data": data,
        "usage": usage(body["input"]),
    }


def score(body):
    data = [{"index": 0, "object": "score", "score": float("42" in body["text_2"])}]
    return {
        "id": "score-1",
        "object": "list",
        "model": body["model"],
        "data": data,
        "usage": usage(body["text_2"]),
    }


async def scored(scorer, texts=TEXTS, budget=None, how=None):
    """Scores of texts with the receipt."""
    found = []

    class Plan:
        name, paper, needs = "plan", "", frozenset()

        async def solve(self, problem, run):
            paths = [Prefix(Prompt()) + text for text in texts]
            run.propose(paths[0])
            found.extend(await run.score(paths, by=scorer, how=how))
            return paths[0]

    result = await solve(
        QUESTION, Plan(), {"solver": Scripted({"x": 1.0})}, equality=Keys(), scorers=ByName(), budget=budget
    )
    return found, result


def run(job):
    return anyio.run(job, backend="asyncio")


def test_steps_are_valued_through_pooling_and_paid_by_the_server_s_count():
    async def main():
        async with server(pooling=pooling) as (url, asked):
            found, result = await scored(f"prm:url={url},model=qwen-prm")
            assert found == [0.9, 1.0, 0.8], "the last step counts"
            least, _ = await scored(ProcessReward("qwen", "qwen-prm", url), how="prod")
            assert least == pytest.approx([0.9, 1.0, 0.72])
            texts = [body["input"] for _, body in asked[:3]]
            assert sorted(text.count("<extra_0>") for text in texts) == [1, 2, 3]
            assert result.usage.scorer == sum(len(text.split()) for text in texts)
            assert result.usage.calls == 0
            assert asked[0][1]["model"] == "qwen-prm"

    run(main)


def test_whole_solutions_through_classify_and_score():
    async def main():
        async with server(classify=classify, score=score) as (url, asked):
            assert (await scored(OutcomeReward("rm", url)))[0] == [0.9, 0.2, 0.2]
            assert (await scored(f"orm:model=rm,url={url},route=score"))[0] == [1.0, 0.0, 0.0]
            assert asked[-1][1].keys() == {"model", "text_1", "text_2"}

    run(main)


def test_an_empty_path_has_no_step_to_ask_about():
    async def main():
        async with server(pooling=pooling) as (url, asked):
            found, _ = await scored(ProcessReward("qwen", "m", url), ["", TEXTS[0], "\n\n"])
            assert found == [0.0, 0.9, 0.0]
            assert len(asked) == 1

    run(main)


def test_a_step_with_the_tag_in_it_breaks_nothing():
    async def main():
        async with server(pooling=pooling) as (url, asked):
            found, _ = await scored(
                ProcessReward("qwen", "m", url), ["Good.<extra_0><|im_end|>\n\nThe answer is 4."]
            )
            assert found == [0.9]
            assert asked[0][1]["input"].count("<|im_end|>") == 3

    run(main)


def test_a_budget_of_all_tokens_is_not_overrun():
    async def main():
        async with server(pooling=pooling) as (url, asked):
            scorer = ProcessReward("qwen", "m", url)
            _, result = await scored(scorer, budget=Budget(total_tokens=100))
            assert (result.stop, result.usage.total, asked) == ("budget", 0, [])
            _, result = await scored(scorer, budget=Budget(total_tokens=5000))
            assert result.stop == "finished"
            assert 0 < result.usage.total <= 5000

    run(main)


ROWS = {"data": [[0.1, 0.9]]}
WRONG = {
    "a row too few": (
        {"data": [{"data": [[0.1, 0.9]]}], "usage": {"prompt_tokens": 1}},
        BadScore,
        "1 values for 2 steps",
    ),
    "not a number": (
        {"data": [{"data": [[0.1, None], [0.1, 0.9]]}], "usage": {"prompt_tokens": 1}},
        BadScore,
        "not a number",
    ),
    "nobody's form": ({"error": "no such model"}, EngineError, "another form"),
    "numbers for rows": (
        {"data": [{"data": [0.1, 0.2]}], "usage": {"prompt_tokens": 1}},
        EngineError,
        "another form",
    ),
    "no usage": ({"data": [{"data": [[0.1, 0.9], [0.1, 0.9]]}]}, EngineError, "another form"),
    "two texts": ({"data": [ROWS, ROWS], "usage": {"prompt_tokens": 1}}, BadScore, "2 results"),
    "busy": (web.Response(status=503), TransientError, "503"),
    "refused": (web.Response(status=404, text="no such\nroute"), EngineError, "404: no such route"),
    "no JSON": (web.Response(text="<html>"), EngineError, "JSON"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_server_gets_wrong_is_named(name):
    told, error, says = WRONG[name]

    async def main():
        async with server(pooling=lambda body: told) as (url, _):
            scope = _Scope()
            with pytest.raises(error, match=says):
                await ProcessReward("qwen", name, url).score(QUESTION, [Prefix(Prompt()) + TEXTS[0]], scope)
            assert scope.charged > 0, "a text that was sent is paid for"

    run(main)


class _Scope:
    """The one verb that these scorers use."""

    charged = 0

    @contextlib.asynccontextmanager
    async def charge(self, tokens):
        from ponder.core.calls import Bill

        bill = Bill(tokens)
        try:
            yield bill
        finally:
            self.charged += bill.tokens


@pytest.mark.parametrize(
    ("scorer", "error", "says"),
    [
        (ProcessReward(), UsageError, "needs a model"),
        (ProcessReward("rlhflow", "m", "http://127.0.0.1:1"), UsageError, "Leave out url"),
        (ProcessReward("qwen", "m", "127.0.0.1:1"), UsageError, "http://HOST"),
        (ProcessReward("qwen", "m", "http://127.0.0.1:1"), TransientError, "cannot be reached"),
        (OutcomeReward(), UsageError, "needs a model"),
    ],
)
def test_what_cannot_be_asked_is_named(scorer, error, says):
    async def main():
        with pytest.raises(error, match=says):
            await scorer.score(QUESTION, [Prefix(Prompt()) + TEXTS[0]], _Scope())

    run(main)


def test_texts_of_many_callers_are_asked_together():
    async def main():
        flying = most = 0

        async with server(pooling=pooling) as (url, asked):
            scorer = ProcessReward("qwen", "together", url)

            async def one(i):
                nonlocal flying, most
                flying += 1
                most = max(most, flying)
                found = await scorer.score(QUESTION, [Prefix(Prompt()) + f"{i}.\n\n{TEXTS[0]}"], _Scope())
                assert found[0].steps == (1.0, 0.9, 0.8)
                flying -= 1

            async with anyio.create_task_group() as group:
                for i in range(20):
                    group.start_soon(one, i)
            assert most == 20
            assert len(asked) == 20
            assert json.dumps(asked[0])

    run(main)
