"""A child that runs the scripted engine, and misbehaves on demand: what `tests/engines/test_child.py` starts."""

import os
import signal
import time

from ponder.core.errors import ModelFileError
from ponder.engines.child.serving import serve
from ponder.engines.scripted import Scripted

STEPS = {
    "First, 17 + 25.\n\nThat is 30 + 12.\n\nThe answer is 42.": 0.5,
    "First, 17 + 25.\n\nHmm, 7 and 5 make 12: so 41 or 42? The answer is 41.": 0.3,
    "I would say forty-two, for it is always forty-two, is it not.": 0.2,
}
FOREIGN = {"你好，世界 👩‍🔬: 答案是四十二。": 0.5, "Der Übermut, naïvement — ∑ 😀é\u0301 ja ja ja nein": 0.5}


ENGINES = []


def script(prefix):
    said = prefix.prompt.messages[-1].text if prefix.prompt.messages else ""
    if said == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if said == "hang":
        time.sleep(3600)
    if said == "environment":
        return {repr(sorted(os.environ)): 1.0}
    if said == "written":
        return {f"{ENGINES[0].completion_tokens} tokens.": 1.0}
    if said == "long":
        return {"one two three four five six seven eight nine ten " * 20: 1.0}
    if prefix.text.endswith("Wait,"):
        return {" let me see again: it is 42 after all, so it is.": 0.6, " no.": 0.4}
    return FOREIGN if prefix.prompt.raw is not None else STEPS


def opened(how, tell):
    tell("Opening it.")
    if how.pop("broken", False):
        raise ModelFileError("That is no model file. Name one.")
    ENGINES.append(Scripted(script, **{**how, "without": set(how.get("without", ()))}))
    return ENGINES[0]


if __name__ == "__main__":
    serve(opened)
