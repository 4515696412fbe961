"""The gateway is an engine, too: our engine for servers, pointed at it, keeps the laws of engines.

What it cannot is what no client of OpenAI's chat can: token ids, and all that is said in them.
"""

import contextlib

import pytest
from gateways import in_front_of, listening
from serving import DIALECTS, run

from ponder.engines.laws import check_engine
from ponder.engines.scripted import Scripted
from ponder.engines.servers.engine import Server
from ponder.engines.servers.link import Link
from ponder.engines.servers.probe import probe

STEPS = {
    "First, 17 + 25.\n\nThat is 30 + 12.\n\nThe answer is 42.": 0.5,
    "First, 17 + 25.\n\nHmm, 7 and 5 make 12: so 41 or 42? The answer is 41.": 0.3,
    "I would say forty-two, for it is always forty-two, 你好 👩‍🔬, is it not.": 0.2,
}
TABLES = {"presets": {"plain": "direct"}, "effort": {}}
NEVER = {"top_logprobs", "logit_bias", "switch_penalty", "stop ids", "min_tokens", "continuing",  # need token ids
         "counting", "scores", "certainty", "embeddings", "grammar"}  # fmt: skip
"""Laws of abilities that OpenAI's interface has no words for. A JSON schema goes as `response_format`, not as a grammar."""


async def checked(url, model):
    """The laws that do not apply to a model behind the gateway."""
    link = Link(url, patience=30.0)
    server = Server(link, await probe(link, model))
    report = await check_engine(server, close=True)
    return {line.split(" (")[0].removeprefix("skipped: ") for line in report if line.startswith("skipped")}


@contextlib.asynccontextmanager
async def behind(what):
    if what in DIALECTS:
        async with in_front_of(what, Scripted(STEPS), tables=TABLES) as (_, url, _):
            yield url, "front"
    else:
        async with listening(Scripted(STEPS, name="solver"), tables=TABLES) as (_, url):
            yield url, what


@pytest.mark.parametrize(
    ("what", "besides"),
    [
        # An embedded engine has no log-probabilities to tell here, for the text of other tokens is not known.
        ("solver", {"context", "logprobs"}),
        # A strategy has its own temperature and its prompt, and its seed is the run's, not the sample's.
        ("solver@plain", {"context", "logprobs", "raw prompts", "seeds"}),
        ("vllm", set()),
        ("sglang", set()),
        ("llama-server", set()),
        ("openai", {"context", "raw prompts"}),
    ],
)
def test_the_gateway_keeps_the_laws_of_engines(what, besides):
    async def job():
        async with behind(what) as (url, model):
            return await checked(url, model)

    tells_ids = what == "llama-server"  # of tokens, beside their log-probabilities
    assert run(job) == NEVER - ({"top_logprobs"} if tells_ids else set()) | besides
