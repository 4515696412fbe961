"""Votes over tool calls and over JSON values: equal calls are one vote, however they are written.

python examples/tools.py [URL [MODEL]]
"""

import json
import sys

from openai import OpenAI

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/v1"
model = sys.argv[2] if len(sys.argv) > 2 else "smollm2-135m"
client = OpenAI(base_url=url, api_key="none")
vote = {"ponder": {"strategy": "self-consistency", "params": {"n": 4}}}

size = {
    "type": "json_schema",
    "json_schema": {
        "name": "size",
        "schema": {
            "type": "object",
            "properties": {"animal": {"enum": ["mouse", "horse", "elephant"]}, "large": {"type": "boolean"}},
            "required": ["animal", "large"],
            "additionalProperties": False,
        },
    },
}
got = client.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "Which of these animals is the largest? Reply as JSON."}],
    response_format=size,
    max_tokens=48,
    extra_body=vote,
)
print("JSON: ", json.loads(got.choices[0].message.content), got.ponder["vote"])

weather = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
got = client.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "What is the weather in Oslo?"}],
    tools=[weather],
    max_tokens=48,
    extra_body=vote,
)
for call in got.choices[0].message.tool_calls or ():  # a small model may as well answer in words
    print("tool: ", call.function.name, json.loads(call.function.arguments), got.ponder["vote"])
print("ended:", got.choices[0].finish_reason)
