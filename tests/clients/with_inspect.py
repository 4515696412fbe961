"""Inspect's client for servers of OpenAI's API."""

import asyncio
import json
import sys

import openai
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ContentImage,
    ContentText,
    GenerateConfig,
    ResponseSchema,
    get_model,
)
from inspect_ai.tool import ToolCall, ToolInfo, ToolParams
from inspect_ai.util import json_schema


def message(given):
    content = given.get("content") or ""
    if not isinstance(content, str):
        content = [
            ContentText(text=part["text"])
            if part["type"] == "text"
            else ContentImage(image=part["image_url"]["url"])
            for part in content
        ]
    if given["role"] == "assistant":
        calls = [
            ToolCall(
                id=c["id"], function=c["function"]["name"], arguments=json.loads(c["function"]["arguments"])
            )
            for c in given.get("tool_calls", ())
        ]
        return ChatMessageAssistant(content=content, tool_calls=calls or None)
    if given["role"] == "tool":
        return ChatMessageTool(content=content, tool_call_id=given["tool_call_id"], function="weather")
    return (ChatMessageSystem if given["role"] == "system" else ChatMessageUser)(content=content)


def config(case):
    body = case["body"]
    told = {"extra_headers": case["headers"] or None, "max_retries": 0, "timeout": 60, "cache_prompt": False}
    for ours, theirs in (
        ("max_tokens", "max_tokens"),
        ("temperature", "temperature"),
        ("top_p", "top_p"),
        ("seed", "seed"),
        ("stop", "stop_seqs"),
        ("logprobs", "logprobs"),
        ("top_logprobs", "top_logprobs"),
        ("n", "num_choices"),
        ("reasoning_effort", "reasoning_effort"),
    ):
        if ours in body:
            told[theirs] = body[ours]
    extra = {
        k: v
        for k, v in body.items()
        if k in ("ponder", "top_k", "min_p", "user", "metadata", "max_completion_tokens")
    }
    if extra:
        told["extra_body"] = extra
    form = body.get("response_format")
    if form is not None and form["type"] == "json_schema":
        told["response_schema"] = ResponseSchema(name="reply", json_schema=json_schema(dict[str, int]))
        told["extra_body"] = {**extra, "response_format": form}
    elif form is not None:
        told["extra_body"] = {**extra, "response_format": form}
    return GenerateConfig(**{k: v for k, v in told.items() if v is not None})


def tools(body):
    made = []
    for tool in body.get("tools", ()):
        function = tool["function"]
        parameters = ToolParams.model_validate({**function["parameters"], "additionalProperties": False})
        made.append(
            ToolInfo(name=function["name"], description=function["description"], parameters=parameters)
        )
    return made


async def run(asked, case):
    do, body = case["do"], case["body"]
    if do not in ("chat", "usage", "twice", "late"):
        return {"na": f"it has no words for {do}"}
    if any(m["role"] == "developer" for m in body["messages"]):
        return {"na": "it says system for developer"}
    if "https:" in json.dumps(body["messages"]):
        return {"na": "it refuses a picture that is elsewhere itself"}
    it = get_model(
        f"openai-api/ponder/{body['model']}",
        base_url=asked["url"],
        api_key=asked["keys"][case["key"]],
        config=config(case),
        memoize=False,
        max_retries=0,
    )
    messages = [message(m) for m in body["messages"]]

    async def ask():
        choice = body.get("tool_choice", "auto")
        return await it.generate(messages, tools=tools(body), tool_choice=choice)

    if do == "late":
        try:
            async with asyncio.timeout(0.6):
                await ask()
        except TimeoutError:
            return {"late": True}
    answer = await ask()
    if answer.error:
        return {"status": 0, "said": answer.error[:300]}
    first = answer.choices[0]
    logs = first.logprobs.content if first.logprobs else ()
    usage = answer.usage
    got = {
        "texts": [c.message.text for c in answer.choices],
        "finish": first.stop_reason,
        "usage": [usage.input_tokens, usage.output_tokens] if usage else [0, 0],
        "calls": [[c.function, json.dumps(c.arguments)] for c in first.message.tool_calls or ()],
        "logprobs": len(logs),
    }
    if do == "twice":
        again = await ask()
        got["same"] = [c.message.text for c in again.choices] == got["texts"]
    return got


async def main():
    asked = json.load(sys.stdin)
    for case in asked["cases"]:
        try:
            got = await run(asked, case)
        except Exception as error:  # noqa: BLE001 - it wraps what went wrong
            found = error
            while found.__cause__ is not None and not isinstance(found, openai.APIStatusError):
                found = found.__cause__
            got = {
                "status": getattr(found, "status_code", 0),
                "code": getattr(found, "code", None),
                "said": repr(error)[:300],
            }
        print(json.dumps({"case": case["name"], **got}), flush=True)


asyncio.run(main())
