"""A stream that tells how a vote goes, as reasoning, before its answer comes.

python examples/progress.py [URL [MODEL]]
"""

import sys

from openai import OpenAI

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/v1"
model = sys.argv[2] if len(sys.argv) > 2 else "smollm2-135m"
client = OpenAI(base_url=url, api_key="none")

stream = client.chat.completions.create(
    model=f"{model}@majority8",  # a preset, chosen by the model's name
    messages=[{"role": "user", "content": "What is 6 * 7?"}],
    max_tokens=48,
    stream=True,
    stream_options={"include_usage": True},
    extra_body={"ponder": {"progress": "reasoning"}},
)
for chunk in stream:
    if chunk.usage:
        print(f"\n{chunk.usage.completion_tokens} tokens in all")
    for choice in chunk.choices:
        if told := getattr(choice.delta, "reasoning", None):
            print("  ...", told, end="", file=sys.stderr)
        if choice.delta.content:
            print(choice.delta.content, end="", flush=True)
