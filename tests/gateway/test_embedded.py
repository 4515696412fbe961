"""The embedded engine behind the gateway is in a child, which alone reads the model file."""

import json
import subprocess
import sys

import pytest
from gateways import client, listening
from serving import run

from ponder.config import Settings
from ponder.core.errors import ModelFileError
from ponder.engines.laws import check_engine
from ponder.gateway.embedded import open_in_child

ASK = [{"role": "user", "content": "What is 6 * 7?"}]


def test_a_model_file_is_read_in_the_child_alone(smollm2, tmp_path):
    engine = open_in_child(smollm2, Settings(home=tmp_path, requantise=False, threads=1))

    async def job():
        async with listening(engine) as (_, url), client(url) as ask:
            name = engine.capabilities.name
            whole = await ask.chat.completions.create(model=name, messages=ASK, max_tokens=8, temperature=0)
            stream = await ask.chat.completions.create(
                model=name, messages=ASK, max_tokens=8, temperature=0, stream=True
            )
            pieces = [c.choices[0].delta.content or "" async for c in stream if c.choices]
            return whole, "".join(pieces)

    try:
        whole, streamed = run(job)
        assert whole.usage.completion_tokens == 8
        assert whole.choices[0].message.content == streamed
        assert {"continue", "grammar", "logit_bias", "scores", "stoppable"} <= engine.capabilities.can
    finally:
        engine.close()


def test_the_laws_hold_of_a_real_model_in_a_child(smollm2, tmp_path):
    engine = open_in_child(smollm2, Settings(home=tmp_path, requantise=False, threads=1))
    report = run(lambda: check_engine(engine, tokens=8, exact=False, close=True))
    assert [line for line in report if line.startswith("skipped")] == []


def test_the_gateway_loads_no_library_that_reads_model_files(tmp_path):
    program = (
        "import sys, ponder.gateway.running, ponder.gateway.opening, ponder.gateway.embedded;"
        "print(*sorted({'xllamacpp', 'openvino', 'torch', 'ponder.engines.llama_cpp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_file_that_is_none_is_told_as_it_is_in_process(tmp_path):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + json.dumps({"no": "model"}).encode())
    with pytest.raises(ModelFileError):
        open_in_child(bad, Settings(home=tmp_path))
