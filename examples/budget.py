"""A budget for each request: a vote gets as many samples as it pays for, and no token more is spent.

python examples/budget.py [URL [MODEL]]
"""

import sys

from openai import OpenAI, RateLimitError

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/v1"
model = sys.argv[2] if len(sys.argv) > 2 else "smollm2-135m"
client = OpenAI(base_url=url, api_key="none", max_retries=0)
question = [{"role": "user", "content": "What is 6 * 7?"}]

for tokens in (1000, 150, 3):
    wanted = {
        "strategy": "self-consistency:n=8",
        "budget_tokens": tokens,
        "on_exhausted": "error" if tokens < 10 else "best_so_far",
    }
    try:
        got = client.chat.completions.create(
            model=model, messages=question, max_tokens=48, extra_body={"ponder": wanted}
        )
    except RateLimitError as error:
        print(f"{tokens} tokens: {error.code}")
        continue
    receipt = got.ponder
    spent = receipt["budget"]["spent"]
    print(
        f"{tokens} tokens: {receipt['samples']['finished']} samples, {spent} spent, stopped by {receipt['stop']}"
    )
    assert spent <= tokens
