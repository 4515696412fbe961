"""Simon Willison's `llm`, whose models of other servers stand in extra-openai-models.yaml."""

import json
import os
import sys
from pathlib import Path

asked = json.load(sys.stdin)
home = Path(asked["folder"]) / "llm"
home.mkdir()
os.environ["LLM_USER_PATH"] = str(home)


def entry(case):
    """A case's own entry in the file: key, headers and what it can do stand there."""
    body = case["body"]
    return {
        "model_id": f"case-{asked['cases'].index(case)}",
        "model_name": body["model"],
        "api_base": asked["url"],
        "api_key_name": case["key"],
        "headers": case["headers"],
        "supports_tools": True,
        "supports_schema": True,
        "vision": True,
        "can_stream": True,
    }


told = [entry(case) for case in asked["cases"] if "messages" in case["body"]]
(home / "extra-openai-models.yaml").write_text(json.dumps(told))  # JSON is YAML
(home / "keys.json").write_text(json.dumps(asked["keys"]))

import llm  # noqa: E402 - it reads its folder as it is imported
import openai  # noqa: E402
from pydantic import ValidationError  # noqa: E402

OPTIONS = {"max_tokens", "temperature", "top_p", "seed", "stop"}
KNOWN = {"model", "messages", "tools", "response_format", "logprobs", "top_logprobs", *OPTIONS}


def weather(city: str) -> str:
    """The weather of a city."""
    return f"12 degrees in {city}"


def run(case):
    do, body = case["do"], case["body"]
    if do not in ("chat", "stream", "usage", "streamed usage", "twice", "leave"):
        return {"na": f"it has no words for {do}"}
    if unknown := set(body) - KNOWN:
        return {"na": f"it cannot say {', '.join(sorted(unknown))}"}
    if "tool_choice" in body or "logprobs" in body:
        return {"na": "it does not choose tools, and shows log-probabilities to nobody"}
    model = llm.get_model(f"case-{asked['cases'].index(case)}")
    messages = body["messages"]
    if any(m["role"] in ("tool", "developer") for m in messages):
        return {"na": "it makes tools' results itself, and has no developer"}
    options = {k: v for k, v in body.items() if k in OPTIONS}
    if isinstance(options.get("stop"), list):
        options["stop"] = ",".join(options["stop"])
    form = body.get("response_format")
    if form is not None and form["type"] == "json_object":
        options["json_object"] = True
    more = {"schema": form["json_schema"]["schema"]} if form and form["type"] == "json_schema" else {}
    said = messages[-1]["content"]
    if not isinstance(said, str):
        url = said[1]["image_url"]["url"]
        if url.startswith("https:"):
            return {"na": "it fetches pictures itself to know what they are"}
        import base64

        more["attachments"] = [
            llm.Attachment(type="image/png", content=base64.b64decode(url.partition(",")[2]))
        ]
        said = said[0]["text"]
    if messages[0]["role"] == "system":
        more["system"] = messages[0]["content"]
    if "tools" in body:
        more["tools"] = [weather]
    stream = do in ("stream", "streamed usage", "leave")

    def ask():
        if len(messages) > 2:
            talk = model.conversation()
            first = talk.prompt("Repeat: Hello, Ada.", stream=False, key=asked["keys"][case["key"]])
            first.text()
            return talk.prompt("What did I say first?", stream=stream)
        return model.prompt(said, stream=stream, **more, **options)

    response = ask()
    if do == "leave":
        next(iter(response))
        return {"left": True}
    pieces = [piece for piece in response if piece]
    usage = response.usage()
    got = {"texts": ["".join(pieces)], "usage": [usage.input or 0, usage.output or 0], "pieces": len(pieces)}
    got["calls"] = [[call.name, json.dumps(call.arguments)] for call in response.tool_calls()]
    if isinstance(response.response_json, dict):
        got["finish"] = response.response_json.get("finish_reason") or "length"
    if len(messages) > 2:
        got["texts"] = [got["texts"][0].replace("Repeat: Hello, Ada.", "My name is Ada.")]
    if do == "twice":
        again = ask()
        got["same"] = again.text() == got["texts"][0]
    return got


for one in asked["cases"]:
    try:
        found = run(one)
    except openai.APIStatusError as error:
        found = {"status": error.status_code, "code": error.code}
    except ValidationError:
        found = {"na": "it refuses the value itself"}
    except Exception as error:  # noqa: BLE001 - it wraps what went wrong
        cause = error.__cause__ or error.__context__
        found = {
            "status": getattr(cause, "status_code", 0),
            "code": getattr(cause, "code", None),
            "said": repr(error)[:300],
        }
    print(json.dumps({"case": one["name"], **found}), flush=True)
