"""The one primitive, the optional abilities beside it, and what strategies are written in.

An `Engine` continues text. A `Scorer` says how good a path is. A `Run` is one attempt at one problem and gives
a strategy its verbs. A `Strategy` turns a problem into a `Choice`. Everything else is built from these.
"""

from __future__ import annotations

from ponder.core.protocols.choice import Candidate, Choice, Form, FormsOf, KeysOf, Result, Stop
from ponder.core.protocols.engine import (
    Ability,
    BoundsPrompts,
    Capabilities,
    ContinuationScores,
    Delta,
    Embeds,
    Engine,
    ExtendsMany,
    Halt,
    Tokenizes,
    TokenizesAfar,
    Watch,
)
from ponder.core.protocols.memory import Memory
from ponder.core.protocols.run import Left, Run
from ponder.core.protocols.scorer import Aggregation, Scale, Score, Scorer
from ponder.core.protocols.strategy import Strategy

__all__ = [
    "Ability",
    "Aggregation",
    "BoundsPrompts",
    "Candidate",
    "Capabilities",
    "Choice",
    "ContinuationScores",
    "Delta",
    "Embeds",
    "Engine",
    "ExtendsMany",
    "Form",
    "FormsOf",
    "Halt",
    "KeysOf",
    "Left",
    "Memory",
    "Result",
    "Run",
    "Scale",
    "Score",
    "Scorer",
    "Stop",
    "Strategy",
    "Tokenizes",
    "TokenizesAfar",
    "Watch",
]
