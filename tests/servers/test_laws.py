"""The engine keeps its laws on every dialect, as probed; what the probe finds is what the server does."""

import json
import shutil
import ssl
import subprocess

import pytest
from aiohttp import web
from serving import DIALECTS, layered, run, served

from ponder import EngineError, TransientError, UnknownName, Unsupported, UsageError
from ponder.core.calls import Sampling
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.engines.laws import check_engine
from ponder.engines.scripted import Scripted
from ponder.engines.servers.found import Found
from ponder.engines.servers.link import Link
from ponder.engines.servers.probe import probe
from ponder.mock.server import Mock

ASK = Prefix(Prompt((Message("user", "What is 6 * 7?"),)))
EVERYWHERE = {"streams", "tells_stop_from_eos", "logprobs", "seed"}
CAN = {
    "vllm": {"continue", "token_ids", "top_logprobs", "logit_bias", "stop_ids"},
    "sglang": {"continue"},
    "llama-server": {"continue", "token_ids", "top_logprobs", "logit_bias", "stop_ids"},
    "openai": set(),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_keeps_the_laws_as_it_was_probed(dialect):
    async def job():
        async with served(dialect) as (mock, server):
            found = server.found
            assert found.dialect == dialect
            assert found.can == EVERYWHERE | CAN[dialect]
            assert found.context == (None if dialect == "openai" else 32768)
            assert found.counts
            assert found.keeps_stop == (dialect in ("vllm", "sglang"))
            report = await check_engine(server, close=True)
            assert mock.counters.in_flight == 0
            return [line for line in report if line.startswith("checked")]

    assert len(run(job)) >= 12


def script(prefix):
    """Words of several letters and of several scripts, so that stops and cuts fall within them."""
    start = len(prefix.text.split())
    words = [
        "So:",
        "naïve",
        "你好",
        "world",
        "👩\u200d🔬",
        "and",
        "then\n\nmore",
        "of",
        "it,",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
    ]
    return {" ".join(words[start % len(words) :]): 0.6, "Well " + " ".join(words[3:]): 0.4}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_laws_hold_for_another_model_and_through_the_layers(dialect):
    async def job():
        async with served(dialect, Scripted(script)) as (_, server):
            await check_engine(server)
            await check_engine(layered(server))

    run(job)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_several_of_one_request_cost_what_the_server_counts(dialect):
    async def job():
        async with served(dialect) as (mock, server):
            segments = await server.extend_many(ASK, Sampling(max_tokens=64, temperature=1.0, seed=5), 5)
            alone = await server.extend(ASK, Sampling(max_tokens=64, temperature=1.0))
            return mock.counters, segments, alone

    counters, segments, alone = run(job)
    assert len(segments) == 5
    assert len({s.text for s in segments}) > 1, "one seed for all would make them the same"
    assert counters.requests == (6 if dialect == "llama-server" else 2)
    ends = 1 if dialect == "openai" else 0  # which it does not count
    assert sum(s.usage.completion + ends for s in (*segments, alone)) == counters.completion_tokens + (
        0 if ends == 0 else sum(s.finish == "eos" for s in (*segments, alone))
    )
    assert sum(s.usage.prompt for s in segments) == alone.usage.prompt * (
        5 if dialect == "llama-server" else 1
    )
    assert all(s.usage.calls == 1 for s in segments)


def test_what_was_found_is_kept_and_read_again(tmp_path):
    async def job():
        async with served("vllm") as (_, server):
            return server.found

    found = run(job)
    path = found.save(tmp_path / "cache", found.model)
    assert Found.load(tmp_path / "cache", found.url, found.model) == found
    assert Found.load(tmp_path / "cache", found.url, "another") is None
    body = json.loads(path.read_text())
    for broken in ({**body, "version": 0}, {**body, "dialect": "x"}, {**body, "wire": "x"}, {}, []):
        path.write_text(json.dumps(broken))
        assert Found.load(tmp_path / "cache", found.url, found.model) is None
    path.write_text("{")
    assert Found.load(tmp_path / "cache", found.url, found.model) is None
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [path.name], "no half of a file is left"


def test_a_server_that_cannot_continue_says_so_before_the_first_token():
    async def job():
        async with served("openai") as (mock, server):
            with pytest.raises(Unsupported, match="cannot continue a partial answer"):
                await server.extend(ASK + "Let me", Sampling())
            with pytest.raises(Unsupported, match="conversations only"):
                await server.extend(Prefix(Prompt(raw="one,")), Sampling())
            return mock.counters.requests

    assert run(job) == 0


def test_a_path_of_another_model_is_sent_as_text():
    async def job():
        async with served("vllm") as (_, server):
            first = await server.extend(ASK, Sampling(max_tokens=6, temperature=0.0))
            own = await server.extend(ASK + first, Sampling(max_tokens=6, temperature=0.0))
            ids = tuple(i + 1 for i in first.token_ids)
            import dataclasses

            foreign = await server.extend(
                ASK + dataclasses.replace(first, token_ids=ids), Sampling(max_tokens=6, temperature=0.0)
            )
            return own, foreign

    own, foreign = run(job)
    assert foreign.text == own.text
    assert foreign.usage.prompt == own.usage.prompt


def test_models_and_dialects_that_do_not_exist():
    async def job():
        async with served() as (mock, _):
            with pytest.raises(UnknownName, match="mock"):
                await probe(Link(mock.url), "mick")
            with pytest.raises(UnknownName, match="vllm"):
                await probe(Link(mock.url), dialect="vlm")

    run(job)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://x", "no address"),
        ("http://", "no address"),
        ("http://x:y", "no address"),
        ("http://user:secret@x", "password"),
        ("http://x/?key=secret", "no address"),
        ("http://169.254.169.254/latest", "link-local"),
        ("http://[fe80::1]/", "link-local"),
        ("http://[::ffff:169.254.1.1]/", "link-local"),
    ],
)
def test_addresses_that_are_none(url, says):
    with pytest.raises(UsageError, match=says) as caught:
        Link(url)
    assert "secret" not in str(caught.value)


# -- schemas and certificates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_schema_reaches_every_server_as_response_format(dialect):
    """Which all of them take at their chat interface, whatever else they call grammars."""
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    prompt = Prompt((Message("user", "Give me an object."),), response_format=schema)
    sent = []

    async def job():
        async with served(dialect, Scripted({'{"a": 1}': 1.0})) as (_, server):
            stream = server.link.stream

            def keeping(path, body, *more):
                sent.append((path, body))
                return stream(path, body, *more)

            server.link.stream = keeping
            return await server.extend(Prefix(prompt), Sampling(max_tokens=20))

    assert run(job).text == '{"a": 1}'
    [(path, body)] = sent
    assert path == "/v1/chat/completions"
    assert body["response_format"] == schema


def certified(folder):
    """A certificate that nobody but its own file vouches for: (certificate, key)."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there to make a certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_certificates_are_verified_against_the_file_that_is_named(tmp_path):
    cert, key = certified(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    strange, _ = certified(other)
    links = []  # a link that is forgotten while its loop runs may be collected before its session is closed

    async def models(_):
        return web.json_response({"data": [{"id": "m"}]})

    async def job():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        app = web.Application()
        app.add_routes([web.get("/v1/models", models)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        links.extend(Link(url, ca=ca) for ca in (cert, None, strange))
        try:
            told = await links[0].get("/v1/models")
            for link in links[1:]:
                with pytest.raises(
                    EngineError, match=r"certificate of .* cannot be verified.* `ca` of this model"
                ) as no:
                    await link.get("/v1/models")
                assert not isinstance(no.value, TransientError), "another try would not help"
            return told
        finally:
            await runner.cleanup()

    assert run(job) == {"data": [{"id": "m"}]}
    for wrong, why in ((tmp_path / "none.pem", "No such file"), (key, "holds no certificate")):
        with pytest.raises(
            UsageError, match=rf"certificates .* cannot be used: .*{why}.* `ca` of this model"
        ):
            Link("https://127.0.0.1:1", ca=wrong)


def test_a_server_without_tls_that_is_asked_with_it():
    async def job():
        async with Mock(Scripted.solver(1.0), "vllm") as mock:
            with pytest.raises(TransientError, match="begin with http://"):
                await Link(mock.url.replace("http:", "https:")).get("/v1/models")

    run(job)
