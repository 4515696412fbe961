"""The real models, for tests that need one: fetched once, into PONDER_MODELS if it is set."""

import os

import pytest
from hypothesis import HealthCheck, settings
from trio._core import _run as trio_run

from ponder.models import ModelUnavailable, pull

# The same examples for the same test, so that a change is judged by what it changes. New ones:
# pytest --hypothesis-profile=new
CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}  # the machine may be busy
settings.register_profile("same", derandomize=True, **CALM)
settings.register_profile("new", derandomize=False, **CALM)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def _same_order():
    """Trio runs the tasks of one tick in an order of chance: of the same chance for the same test, under that profile."""
    if settings.get_current_profile_name() == "same":
        trio_run._r.seed(0)


@pytest.fixture(scope="session")
def smollm2():
    """The path of SmolLM2-135M. A test suite without it proves little, so its absence is an error."""
    return pull("smollm2-135m", into=os.environ.get("PONDER_MODELS"))


@pytest.fixture(scope="session")
def qwen():
    """The path of Qwen2.5-Coder-0.5B; its sources may vanish, so its absence skips."""
    try:
        return pull("qwen2.5-coder-0.5b", into=os.environ.get("PONDER_MODELS"))
    except ModelUnavailable as error:
        pytest.skip(str(error))
