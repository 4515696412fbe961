"""LangChain's ChatOpenAI, by invoke, stream, bind_tools and bind."""

import json
import sys

import openai
from langchain_core.messages import convert_to_messages
from langchain_openai import ChatOpenAI, OpenAI


def model(asked, case, **options):
    body = dict(case["body"])
    more = {
        "model": body.pop("model"),
        "base_url": asked["url"],
        "api_key": asked["keys"][case["key"]],
        "max_retries": 0,
        "default_headers": case["headers"],
        "timeout": 60,
    }
    for name in ("messages", "tools", "tool_choice", "response_format", "prompt"):
        body.pop(name, None)
    extra = {key: body.pop(key) for key in ("ponder", "top_k", "min_p", "user", "max_tokens") if key in body}
    return {**more, **body, "extra_body": extra, **options}


def told(message):
    meta = message.response_metadata
    usage = message.usage_metadata or {"input_tokens": 0, "output_tokens": 0}
    logs = meta.get("logprobs") or {}
    return {
        "texts": [message.text if isinstance(message.text, str) else message.text()],
        "finish": meta.get("finish_reason"),
        "usage": [usage["input_tokens"], usage["output_tokens"]],
        "calls": [[c["name"], json.dumps(c["args"])] for c in message.tool_calls],
        "logprobs": len(logs.get("content") or ()),
        "id": meta.get("id", ""),
    }


def run(asked, case):
    do, body = case["do"], case["body"]
    if do in ("models", "model"):
        return {"na": "it lists no models"}
    if do == "text":
        return {"texts": [OpenAI(**model(asked, case)).invoke(body["prompt"])]}
    options = {"stream_usage": True} if do == "streamed usage" else {}
    chat = ChatOpenAI(**model(asked, case, **options, **({"timeout": 0.4} if do == "late" else {})))
    messages = body["messages"]
    if "tools" in body:
        choice = {"tool_choice": body["tool_choice"]} if "tool_choice" in body else {}
        chat = chat.bind_tools(body["tools"], **choice)
    if "response_format" in body:
        chat = chat.bind(response_format=body["response_format"])
    if body.get("n", 1) > 1:
        [choices] = chat.generate([convert_to_messages(messages)]).generations
        return {"texts": [c.message.content for c in choices]}
    if do in ("chat", "usage"):
        return told(chat.invoke(messages))
    if do == "twice":
        one, two = told(chat.invoke(messages)), told(chat.invoke(messages))
        return {**one, "same": one["id"] == two["id"] if case["headers"] else one["texts"] == two["texts"]}
    if do in ("stream", "streamed usage"):
        whole, pieces = None, 0
        for chunk in chat.stream(messages):
            pieces += bool(chunk.content)
            whole = chunk if whole is None else whole + chunk
        return {**told(whole), "pieces": pieces}
    if do == "leave":
        stream = chat.stream(messages)
        next(stream)
        stream.close()
        return {"left": True}
    if do == "late":
        try:
            chat.invoke(messages)
        except openai.APITimeoutError:
            return {"late": True}
    return {"na": f"{do} has no words"}


def main():
    asked = json.load(sys.stdin)
    for case in asked["cases"]:
        try:
            got = run(asked, case)
        except openai.OpenAIError as error:
            code = getattr(error, "code", None)
            got = {"status": getattr(error, "status_code", 0), "code": code, "said": str(error)[:300]}
        except Exception as error:  # noqa: BLE001 - told as it is
            got = {"raised": repr(error)[:300]}
        print(json.dumps({"case": case["name"], **got}), flush=True)


main()
