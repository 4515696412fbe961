"""A simulation: seeded problems, a model that attempts them, a scorer, and closed forms for what they do.

`Simulated` is an engine and `SimulatedScorer` a scorer like any other, so whatever takes a model takes them; `World`
makes problems without end. Nothing here says anything about a real model (docs/simulation.md).
"""

from ponder.evals.simulated.chain import Chain
from ponder.evals.simulated.engine import Simulated
from ponder.evals.simulated.puzzle import Puzzle, find, named
from ponder.evals.simulated.scorer import SimulatedScorer
from ponder.evals.simulated.traits import Traits
from ponder.evals.simulated.world import World

__all__ = ["Chain", "Puzzle", "Simulated", "SimulatedScorer", "Traits", "World", "find", "named"]
