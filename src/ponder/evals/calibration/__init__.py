"""Learning a policy from an evaluation: what was measured, what is best for which difficulty, what that is worth."""

from ponder.evals.calibration.crossfit import Figure, Figures, asked, figures, more
from ponder.evals.calibration.learning import LEAST, Bins, learn
from ponder.evals.calibration.measured import Level, direct_answers, levels

__all__ = [
    "LEAST",
    "Bins",
    "Figure",
    "Figures",
    "Level",
    "asked",
    "direct_answers",
    "figures",
    "learn",
    "levels",
    "more",
]
