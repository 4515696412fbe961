"""ponder: better answers from any language model, by spending compute at inference time under one exact budget.

>>> import ponder
>>> result = ponder.solve("What is 17 + 48 - 29?", "self-consistency:n=16", budget="4k")  # doctest: +SKIP
>>> result.answer, result.usage.completion, result.stop                                  # doctest: +SKIP
('36', 655, 'finished')
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ponder.core.calls import Budget, Sampling, Usage
from ponder.core.errors import (
    AllFailed,
    BadScore,
    ContextOverflow,
    EngineClosed,
    EngineError,
    ModelFileError,
    NoSandbox,
    OutOfBudget,
    PonderError,
    Refused,
    StoreError,
    TransientError,
    UnknownName,
    Unsupported,
    UsageError,
)
from ponder.core.prefix import Prefix, Prompt, Segment
from ponder.core.problem import Kind, Message, Problem
from ponder.core.protocols import (
    Candidate,
    Capabilities,
    Choice,
    Delta,
    Engine,
    Result,
    Run,
    Score,
    Scorer,
    Strategy,
)

if TYPE_CHECKING:
    from ponder.api import asolve, load, solve
    from ponder.strategies import method, parse

__version__ = "0.1.0"

__all__ = [
    "AllFailed",
    "BadScore",
    "Budget",
    "Candidate",
    "Capabilities",
    "Choice",
    "ContextOverflow",
    "Delta",
    "Engine",
    "EngineClosed",
    "EngineError",
    "Kind",
    "Message",
    "ModelFileError",
    "NoSandbox",
    "OutOfBudget",
    "PonderError",
    "Prefix",
    "Problem",
    "Prompt",
    "Refused",
    "Result",
    "Run",
    "Sampling",
    "Score",
    "Scorer",
    "Segment",
    "StoreError",
    "Strategy",
    "TransientError",
    "UnknownName",
    "Unsupported",
    "Usage",
    "UsageError",
    "__version__",
    "asolve",
    "load",
    "method",
    "parse",
    "solve",
]

# What needs more than the standard library is loaded when it is first asked for.
_LAZY = {
    "asolve": "ponder.api",
    "load": "ponder.api",
    "solve": "ponder.api",
    "method": "ponder.strategies",
    "parse": "ponder.strategies",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'ponder' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
