"""OpenAI's own client for Python, sync and async by turns; it needs nothing but `openai`."""

import asyncio
import json
import sys

import openai


def told(answer):
    first = answer.choices[0]
    calls = [[c.function.name, c.function.arguments] for c in first.message.tool_calls or ()]
    logs = getattr(first, "logprobs", None)
    return {
        "texts": [c.message.content for c in answer.choices],
        "finish": first.finish_reason,
        "usage": [answer.usage.prompt_tokens, answer.usage.completion_tokens],
        "calls": calls,
        "logprobs": len(logs.content) if logs and logs.content else 0,
        "id": answer.id,
    }


class Streamed:
    """A stream put together."""

    def __init__(self):
        self.text, self.pieces, self.calls, self.usage, self.finish = "", 0, {}, None, None

    def take(self, chunk):
        if chunk.usage:
            self.usage = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens]
        for choice in chunk.choices:
            if choice.delta.content:
                self.text += choice.delta.content
                self.pieces += 1
            for call in choice.delta.tool_calls or ():
                name, arguments = self.calls.get(call.index, ("", ""))
                self.calls[call.index] = (
                    name + (call.function.name or ""),
                    arguments + (call.function.arguments or ""),
                )
            self.finish = choice.finish_reason or self.finish

    def told(self):
        calls = [list(call) for call in self.calls.values()]
        return {
            "texts": [self.text],
            "pieces": self.pieces,
            "calls": calls,
            "finish": self.finish,
            "usage": self.usage,
        }


def fields(case):
    """A body as this client takes it: what it does not know goes along as it is."""
    body = dict(case["body"])
    extra = {key: body.pop(key) for key in ("ponder", "top_k", "min_p") if key in body}
    return {**body, "extra_body": extra, "extra_headers": case["headers"]}


def run(client, case):
    """One case, by the synchronous client."""
    do, more = case["do"], fields(case)
    chat = client.chat.completions.create
    if do in ("chat", "usage"):
        return told(chat(**more))
    if do == "twice":
        one, two = told(chat(**more)), told(chat(**more))
        same = one["id"] == two["id"] if case["headers"] else one["texts"] == two["texts"]
        return {**one, "same": same}
    if do in ("stream", "streamed usage"):
        streamed = Streamed()
        options = {"stream_options": {"include_usage": True}} if do == "streamed usage" else {}
        with chat(**more, **options, stream=True) as stream:
            for chunk in stream:
                streamed.take(chunk)
        return streamed.told()
    if do == "models":
        return {"ids": [m.id for m in client.models.list()]}
    if do == "model":
        return {"ids": [client.models.retrieve(case["body"]["model"]).id]}
    if do == "text":
        return {"texts": [c.text for c in client.completions.create(**more).choices]}
    if do == "leave":
        with chat(**more, stream=True) as stream:
            next(iter(stream))
        return {"left": True}
    if do == "late":
        try:
            chat(**more, timeout=0.4)
        except openai.APITimeoutError:
            return {"late": True}
    return {"na": f"{do} has no words"}


async def run_async(client, case):
    """The same, by the other one."""
    do, more = case["do"], fields(case)
    chat = client.chat.completions.create
    if do in ("chat", "usage"):
        return told(await chat(**more))
    if do == "twice":
        one, two = told(await chat(**more)), told(await chat(**more))
        same = one["id"] == two["id"] if case["headers"] else one["texts"] == two["texts"]
        return {**one, "same": same}
    if do in ("stream", "streamed usage"):
        streamed = Streamed()
        options = {"stream_options": {"include_usage": True}} if do == "streamed usage" else {}
        async with await chat(**more, **options, stream=True) as stream:
            async for chunk in stream:
                streamed.take(chunk)
        return streamed.told()
    if do == "models":
        return {"ids": [m.id async for m in client.models.list()]}
    if do == "model":
        return {"ids": [(await client.models.retrieve(case["body"]["model"])).id]}
    if do == "text":
        return {"texts": [c.text for c in (await client.completions.create(**more)).choices]}
    if do == "leave":
        async with await chat(**more, stream=True) as stream:
            await anext(aiter(stream))
        return {"left": True}
    if do == "late":
        try:
            await chat(**more, timeout=0.4)
        except openai.APITimeoutError:
            return {"late": True}
    return {"na": f"{do} has no words"}


def failed(error):
    code = error.code if isinstance(error, openai.APIError) else None
    return {"status": getattr(error, "status_code", 0), "code": code, "said": str(error)[:200]}


async def main():
    asked = json.load(sys.stdin)
    for case in asked["cases"]:
        options = {"base_url": asked["url"], "api_key": asked["keys"][case["key"]], "max_retries": 0}
        try:
            if "async" in sys.argv[1:]:
                async with openai.AsyncOpenAI(**options) as client:
                    got = await run_async(client, case)
            else:
                with openai.OpenAI(**options) as client:
                    got = run(client, case)
        except openai.OpenAIError as error:
            got = failed(error)
        print(json.dumps({"case": case["name"], **got}), flush=True)


asyncio.run(main())
