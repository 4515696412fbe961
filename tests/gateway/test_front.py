"""The page at /: for everyone the same, nothing on it needs a key, nothing in it acts."""

import asyncio
import base64
import hashlib
import html
import re

import aiohttp
import pytest
from gateways import asked, gateway, listening, opened_keys
from serving import run
from support import virtual

from ponder import __version__
from ponder.engines.scripted import Scripted
from ponder.gateway.front import front
from ponder.gateway.served import Served


def solver():
    return Scripted.solver(1.0, text="The answer is {answer}.", name="solver")


def got(method="GET", host=b"localhost:8080", keys=None):
    async def job():
        it = gateway([Served("solver", solver())], keys=keys)

        async def given(scope, receive, send):
            head = [(name, host if name == b"host" else value) for name, value in scope["headers"]]
            await it({**scope, "headers": head}, receive, send)

        return await asked(given, None, path="/", method=method)

    status, headers, sent = virtual(job)
    return status, headers, b"".join(data for _, data in sent).decode()


def test_it_says_where_the_interface_is_and_nothing_that_needs_a_key(tmp_path):
    keys = opened_keys(tmp_path)
    keys.create("x")
    status, headers, page = got(keys=keys)
    assert (status, headers[b"content-type"]) == (200, b"text/html; charset=utf-8")
    assert page == got()[2], "with keys and without"
    assert 'base_url="http://localhost:8080/v1"' in page
    links = re.findall(r'href="([^"]+)"', page)
    assert links == ["v1/models", "v1/strategies", "openapi.json", "healthz", "metrics"]
    for hidden in (__version__, "solver", "vote4", "BASE_URL"):
        assert hidden not in page


def test_it_loads_and_runs_nothing_and_says_so():
    _, headers, page = got()
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = headers[b"content-security-policy"].decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "frame-ancestors 'none'" in policy
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"cache-control"] == b"no-store"
    assert not re.search(r"<script|<link|<img|<iframe|\bon\w+=|style=|src=|url\(|@import", page)


@pytest.mark.parametrize(
    ("host", "said"),
    [("localhost", "localhost"), ("127.0.0.1:80", "127.0.0.1:80"), ("[::1]:80", "[::1]:80"), ("a.localhost", "a.localhost")],
)  # fmt: skip
def test_it_names_the_address_that_the_client_came_by(host, said):
    assert f'base_url="http://{said}/v1"' in got(host=host.encode())[2]


@pytest.mark.parametrize(
    "host", ["<b>.localhost", '"+x+".localhost', "[::1%<b>]", "&quot;.localhost", "é.localhost"]
)
def test_what_is_no_name_is_never_repeated(host):
    status, _, page = got(host=host.encode("latin-1"))
    assert status in (200, 403)
    assert "<b>" not in page
    assert page == front("localhost").decode() or status == 403


def test_strangers_and_other_methods_are_refused():
    assert got(host=b"evil.example")[0] == 403
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        status, headers, _ = got(method)
        assert (status, headers[b"allow"]) == (405, b"GET, HEAD")


def test_the_example_runs_as_it_stands_and_head_has_no_body(capsys):
    async def job():
        async with listening(solver()) as (_, url), aiohttp.ClientSession() as session:
            async with session.head(f"{url}/") as answer:
                head = answer.status, answer.headers["content-length"], await answer.read()
            async with session.get(f"{url}/") as answer:
                page = await answer.text()
            example = html.unescape(
                re.sub("</?span>", "", page.partition("<pre><code>")[2].partition("</code>")[0])
            )
            assert len(example.splitlines()) == 3
            made = {}
            await asyncio.to_thread(exec, example.replace("MODEL", "solver"), made)
            made["client"].close()
            for link in re.findall(r'href="([^"]+)"', page):
                async with session.get(f"{url}/{link}") as answer:
                    assert answer.status == 200, link
            return head, page

    (status, length, body), page = run(job)
    assert (status, int(length), body) == (200, len(page.encode()), b"")
    assert capsys.readouterr().out == "The answer is 42.\n"
