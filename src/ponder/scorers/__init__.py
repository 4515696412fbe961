"""What guides a search. The catalogue: {name: scorer}."""

from ponder.core.protocols import Scorer
from ponder.scorers.confidence import MeanLogprob

CATALOGUE: dict[str, Scorer] = {scorer.name: scorer for scorer in (MeanLogprob(),)}

__all__ = ["CATALOGUE", "MeanLogprob"]
