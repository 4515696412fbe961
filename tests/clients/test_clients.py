"""OpenAI's client and curl through every case; the other clients are run by `make clients` (R19)."""

import shutil

import pytest
from serving import run

from clients.cases import CASES
from clients.matrix import CLIENTS, outcome


@pytest.mark.parametrize(
    "client", [c for c in CLIENTS if c.peer is None and c.script.endswith(".py")], ids=lambda c: c.name
)
def test_a_client_gets_what_it_asks_for(client, smollm2, tmp_path):
    if client.name == "curl" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    got = run(outcome, client, smollm2, tmp_path, seconds=550.0)
    assert got.failed == {}
    assert len(got.passed) == len(CASES)
    assert got.without == {}


def test_cases_have_names_of_their_own():
    assert len({case.name for case in CASES}) == len(CASES) >= 40
