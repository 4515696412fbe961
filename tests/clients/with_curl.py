"""curl, and nothing but it: what is sent and what comes back is read as it stands on the wire."""

import json
import subprocess
import sys


def curl(asked, case, path, body=None, *more, seconds="30"):
    """(status, text, curl's exit code)."""
    words = ["curl", "-sS", "-N", "--max-time", seconds, "-w", "\n%{http_code}", *more]
    words += ["-H", f"Authorization: Bearer {asked['keys'][case['key']]}"]
    for name, value in case["headers"].items():
        words += ["-H", f"{name}: {value}"]
    if body is not None:
        words += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
    given = json.dumps(body) if body is not None else None
    done = subprocess.run(
        [*words, asked["url"] + path], input=given, capture_output=True, text=True, encoding="utf-8"
    )
    text, _, status = done.stdout.rpartition("\n")
    return int(status or 0), text, done.returncode


def whole(status, text):
    body = json.loads(text)
    if status != 200:
        return {"status": status, "code": body["error"]["code"]}
    first = body["choices"][0]
    message = first.get("message", {"content": first.get("text")})
    return {
        "texts": [c.get("message", {"content": c.get("text")})["content"] for c in body["choices"]],
        "finish": first["finish_reason"],
        "usage": [body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]],
        "calls": [[c["function"]["name"], c["function"]["arguments"]] for c in message.get("tool_calls", ())],
        "logprobs": len((first.get("logprobs") or {}).get("content") or ()),
        "id": body["id"],
    }


def streamed(status, text):
    if status != 200:
        return whole(status, text)
    got = {"texts": [""], "pieces": 0, "calls": [], "usage": None}
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    for event in events:
        if event == "[DONE]":
            continue
        chunk = json.loads(event)
        if "error" in chunk:
            return {**got, "broken": True, "code": chunk["error"]["code"]}
        if chunk.get("usage"):
            got["usage"] = [chunk["usage"]["prompt_tokens"], chunk["usage"]["completion_tokens"]]
        for choice in chunk["choices"]:
            if choice["delta"].get("content"):
                got["texts"][0] += choice["delta"]["content"]
                got["pieces"] += 1
            got["calls"] += [
                [c["function"]["name"], c["function"]["arguments"]]
                for c in choice["delta"].get("tool_calls", ())
            ]
    return got if events[-1:] == ["[DONE]"] else {**got, "broken": True}


def run(asked, case):
    do, body = case["do"], case["body"]
    chat = "/chat/completions"
    if do in ("chat", "usage"):
        return whole(*curl(asked, case, chat, body)[:2])
    if do == "twice":
        one, two = (whole(*curl(asked, case, chat, body)[:2]) for _ in range(2))
        return {**one, "same": one["id"] == two["id"] if case["headers"] else one["texts"] == two["texts"]}
    if do in ("stream", "streamed usage"):
        options = {"stream_options": {"include_usage": True}} if do == "streamed usage" else {}
        return streamed(*curl(asked, case, chat, {**body, **options, "stream": True})[:2])
    if do == "models":
        return {"ids": [m["id"] for m in json.loads(curl(asked, case, "/models")[1])["data"]]}
    if do == "model":
        return {"ids": [json.loads(curl(asked, case, f"/models/{body['model']}")[1])["id"]]}
    if do == "text":
        return whole(*curl(asked, case, "/completions", body)[:2])
    if do == "leave":
        return {"left": curl(asked, case, chat, {**body, "stream": True}, seconds="0.8")[2] == 28}
    if do == "late":
        return {"late": curl(asked, case, chat, body, seconds="0.4")[2] == 28}
    return {"na": f"{do} has no words"}


def main():
    asked = json.load(sys.stdin)
    for case in asked["cases"]:
        print(json.dumps({"case": case["name"], **run(asked, case)}), flush=True)


main()
