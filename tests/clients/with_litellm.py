"""LiteLLM's client, which speaks to any server of OpenAI's API as `openai/MODEL`."""

import json
import sys

import litellm
from litellm import completion, exceptions, text_completion

litellm.suppress_debug_info = True


def told(answer):
    first = answer.choices[0]
    logs = getattr(first, "logprobs", None)
    content = logs.get("content") if isinstance(logs, dict) else getattr(logs, "content", None)
    return {
        "texts": [c.message.content for c in answer.choices],
        "finish": first.finish_reason,
        "usage": [answer.usage.prompt_tokens, answer.usage.completion_tokens],
        "calls": [[c.function.name, c.function.arguments] for c in first.message.tool_calls or ()],
        "logprobs": len(content or ()),
        "id": answer.id,
    }


def streamed(stream):
    got = {"texts": [""], "pieces": 0, "calls": [], "usage": None}
    calls = {}
    for chunk in stream:
        if getattr(chunk, "usage", None):
            got["usage"] = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens]
        for choice in chunk.choices:
            if choice.delta.content:
                got["texts"][0] += choice.delta.content
                got["pieces"] += 1
            for call in choice.delta.tool_calls or ():
                name, arguments = calls.get(call.index, ("", ""))
                calls[call.index] = (
                    name + (call.function.name or ""),
                    arguments + (call.function.arguments or ""),
                )
    return {**got, "calls": [list(call) for call in calls.values()]}


def run(asked, case):
    do, body = case["do"], dict(case["body"])
    more = {
        "api_base": asked["url"],
        "api_key": asked["keys"][case["key"]],
        "num_retries": 0,
        "max_retries": 0,
    }
    if do in ("models", "model"):
        return {"na": "it has a list of models of its own"}
    more |= {"model": f"openai/{body.pop('model')}", "extra_headers": case["headers"], "timeout": 60}
    # What OpenAI's API does not have goes along as it is; so does what LiteLLM says this model cannot take.
    extra = {
        key: body.pop(key)
        for key in ("ponder", "top_k", "min_p", "metadata", "reasoning_effort")
        if key in body
    }
    more |= {"extra_body": extra, **body}
    if do == "text":
        more["model"] = more["model"].replace("openai/", "text-completion-openai/")
        return {"texts": [c.text for c in text_completion(**more).choices]}
    if do in ("chat", "usage"):
        return told(completion(**more))
    if do == "twice":
        one, two = told(completion(**more)), told(completion(**more))
        return {**one, "same": one["id"] == two["id"] if case["headers"] else one["texts"] == two["texts"]}
    if do in ("stream", "streamed usage"):
        options = {"stream_options": {"include_usage": True}} if do == "streamed usage" else {}
        return streamed(completion(**more, **options, stream=True))
    if do == "leave":
        next(iter(completion(**more, stream=True)))
        return {"left": True}
    if do == "late":
        try:
            completion(**{**more, "timeout": 0.4})
        except exceptions.Timeout:
            return {"late": True}
    return {"na": f"{do} has no words"}


def main():
    asked = json.load(sys.stdin)
    for case in asked["cases"]:
        try:
            got = run(asked, case)
        except Exception as error:  # noqa: BLE001 - its errors have no root of their own
            got = {"status": getattr(error, "status_code", 0), "code": None, "said": str(error)[:300]}
        print(json.dumps({"case": case["name"], **got}), flush=True)


main()
