"""What guides a search. The catalogue: {name: class}; `ByName` makes scorers of their texts."""

from ponder.scorers.catalogue import CATALOGUE, ByName, scorer
from ponder.scorers.confidence import Confidence, MeanLogprob, MeanProbability, SelfCertainty
from ponder.scorers.judges import Judge, PTrue
from ponder.scorers.reward_models import OutcomeReward, ProcessReward
from ponder.scorers.thoughts import ThoughtValue, ThoughtVote
from ponder.scorers.verifiers import Arithmetic

__all__ = [
    "CATALOGUE",
    "Arithmetic",
    "ByName",
    "Confidence",
    "Judge",
    "MeanLogprob",
    "MeanProbability",
    "OutcomeReward",
    "PTrue",
    "ProcessReward",
    "SelfCertainty",
    "ThoughtValue",
    "ThoughtVote",
    "scorer",
]
