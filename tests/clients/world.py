"""The gateway that all clients talk to: a scripted model that answers by what it reads, a slow one, one that breaks, one on
a mock server, and a real one."""

import contextlib

from gateways import gateway, in_front_of, listening, opened_keys
from serving import until

from clients.cases import SUM
from ponder.core.calls import Budget
from ponder.core.errors import EngineError
from ponder.core.protocols import Delta
from ponder.engines.layers import Layer
from ponder.engines.llama_cpp import LlamaCpp
from ponder.engines.scripted import Scripted
from ponder.gateway.served import Served

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
TABLES = {"presets": {"vote4": "self-consistency:n=4"}, "effort": {"high": "vote4", "low": "none"}}


def answer(prefix):
    """What the model says: a function of the conversation, with probability 1."""
    messages = prefix.prompt.messages
    if not messages:
        return {" is forty-two.": 1.0}
    said = messages[-1].text
    first = next(m.text for m in messages if m.role == "user")
    theirs = [m.text for m in messages if m.role == "system"]
    strategic = any("answer" in text.lower() for text in theirs) or said.rstrip() != said.strip()
    if messages[-1].role == "tool":
        text = f"It is {said}."
    elif prefix.prompt.tools and "weather" in said:
        text = CALL
    elif prefix.prompt.response_format or "JSON" in said:
        text = '{"answer": 42}'
    elif any(not isinstance(m.content, str) for m in messages):
        text = "I see a picture."
    elif "Who are you?" in said:
        text = theirs[0]
    elif "What did I say first?" in said:
        text = first
    elif said.startswith("Repeat: "):
        text = said.removeprefix("Repeat: ")
    elif "Count." in said:
        text = "one two three four five six seven eight nine ten."
    elif "Which?" in said:
        text = (
            "I was asked to think.\n\nThe answer is 2."
            if strategic or said != "Which?"
            else "The answer is 1."
        )
    else:
        text = SUM
    return {text: 1.0}


class Breaking(Layer):
    """Writes two tokens, and breaks."""

    async def extend(self, prefix, sampling, watch=None):
        if watch is not None:
            for word in ("It ", "is "):
                watch(Delta(word, 1))
        raise EngineError("The connection broke.")


@contextlib.asynccontextmanager
async def world(model, folder):
    """The gateway: (it, its URL, the secrets by name)."""
    keys = opened_keys(folder)
    secrets = {
        "good": keys.create("good")[0],
        "narrow": keys.create("narrow", models=["slow"])[0],
        "spent": keys.create("spent", budget=Budget(tokens=1))[0],
        "wrong": "pnd_000000000000_wrong",
    }
    real = LlamaCpp(model, threads=1, context=1024, sequences=8, name="real") if model else None
    solver = Scripted(answer, name="solver")
    broken = Breaking(Scripted(answer, name="broken"))
    slow = Scripted(answer, name="slow", delay=0.3)
    try:
        async with in_front_of("vllm", solver) as (front, _, _):
            served = [
                Served("solver", solver),
                Served("slow", slow),
                Served("broken", broken),
                front.served["front"],
            ]
            if real is not None:
                served.append(Served("real", real))
            async with listening(*served, tables=TABLES, keys=keys) as (it, url):
                await spend(it, url, secrets["spent"])
                yield it, url, secrets
                await until(lambda: it.callers.in_flight == 0)  # those who left took their work with them
    finally:
        if real is not None:
            real.close()
        keys.close()


async def spend(it, url, secret):
    """Spend a key's budget of one token."""
    import aiohttp

    del it
    body = {"model": "solver", "messages": [{"role": "user", "content": "Count."}]}
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {secret}"}) as session:
        await session.post(f"{url}/v1/chat/completions", json=body)


__all__ = ["answer", "gateway", "world"]
