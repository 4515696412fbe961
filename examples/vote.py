"""OpenAI's client asks the gateway twice: plainly, and by a vote of eight.

python examples/vote.py [URL [MODEL]]
"""

import sys

from openai import OpenAI

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/v1"
model = sys.argv[2] if len(sys.argv) > 2 else "smollm2-135m"
client = OpenAI(base_url=url, api_key="none")
question = [{"role": "user", "content": "What is 17 + 48 - 29? Think step by step."}]

plain = client.chat.completions.create(model=model, messages=question, max_tokens=48)
print(
    "plain: ", plain.choices[0].message.content.splitlines()[-1], f"({plain.usage.completion_tokens} tokens)"
)

voted = client.chat.completions.create(
    model=model,
    messages=question,
    max_tokens=48,
    extra_body={"ponder": {"strategy": "self-consistency", "params": {"n": 8}}},
)
receipt = voted.ponder  # what was done, beside an answer like any other
print("voted: ", receipt["vote"], f"({receipt['usage']['completion_tokens_billed']} tokens)")
print("samples:", receipt["samples"])
