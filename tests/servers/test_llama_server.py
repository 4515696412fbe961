"""A real llama-server: the one in xllamacpp, in this process, on a real socket."""

import pytest
from serving import run

from ponder.core.calls import Sampling
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.engines import laws
from ponder.engines.servers.engine import Server
from ponder.engines.servers.link import Link
from ponder.engines.servers.probe import probe

# It may be alone with this machine, or not.
pytestmark = [pytest.mark.model, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def url(smollm2):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(smollm2)
    params.n_ctx, params.n_parallel, params.port = 4096, 4, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.hostnames = ["127.0.0.1"]
    server = xllamacpp.Server(params)
    yield server.listening_address
    del server


@pytest.fixture(scope="module")
def found(url):
    return run(probe, Link(url), seconds=300)


def on(found, job):
    async def main():
        return await job(Server(Link(found.url), found))

    return run(main, seconds=300)


def test_what_is_found_is_what_it_does_and_it_keeps_the_laws(found, monkeypatch):
    async def job(server):
        assert (found.dialect, found.wire, found.raw) == ("llama-server", "native", "native")
        assert {"continue", "token_ids", "logprobs", "top_logprobs", "logit_bias", "streams"} <= found.can
        assert not found.keeps_stop
        assert found.counts
        assert found.context == 1024
        # Its logits differ a little with what else is in the batch. The law of unicode is looked at below.
        monkeypatch.setattr(laws, "LAWS", [law for law in laws.LAWS if law.name not in ("unicode", "seeds")])
        return await laws.check_engine(server, prompts=laws.CHAT[:1], tokens=12, exact=False, tolerance=0.1)

    report = on(found, job)
    assert "checked: continuing" in report
    assert "checked: stop strings" in report


def test_characters_of_several_tokens_keep_their_ids(found):
    """llama-server tells only the last token of a character; the others are asked for."""

    async def job(server):
        prefix = Prefix(Prompt(raw="Repeat: 😀👩‍🔬 naïve 你好\nRepeat:"))
        segments = [
            await server.extend(prefix, Sampling(max_tokens=n, temperature=0.0)) for n in (1, 2, 3, 10, 11)
        ]
        chat = Prefix(Prompt((Message("user", "Say it."),)))
        more = await server.extend(chat + segments[-1], Sampling(max_tokens=4, temperature=0.0))
        return segments, more

    segments, more = on(found, job)
    last = next(segment for segment in reversed(segments) if segment.token_ids is not None)
    assert not last.text.isascii()
    assert last.usage.completion == len(last.token_ids) > 3
    assert last.ends[-1] == len(last.text)
    for segment in segments:
        assert segments[-1].text.startswith(segment.text)
        # Cut off within a character, it has no ids: the server does not tell them.
        if segment.token_ids is not None:
            assert last.token_ids[: len(segment.token_ids)] == segment.token_ids[: len(last.token_ids)]
    assert any(segment.token_ids is None for segment in segments)
    assert more.usage.completion > 0
