"""Statistics of evaluations: pure functions of numbers, which know nothing of models.

An item that is tried with several seeds is one independent unit with several attempts; `Attempts` (item -> values)
keeps them together, and every interval here resamples or counts items, never attempts. Seeded, so the same numbers
give the same figures.
"""

from ponder.evals.stats.attempts import Broken, broke, measured, right
from ponder.evals.stats.clusters import Attempts, Estimate, accuracy, bootstrap, clustered_error
from ponder.evals.stats.equal import Ratio, equal_accuracy, needed
from ponder.evals.stats.intervals import Interval, wilson
from ponder.evals.stats.lengths import LengthAndAccuracy, Spread, length_and_accuracy
from ponder.evals.stats.multiple import benjamini_hochberg, holm
from ponder.evals.stats.optimal import (
    ComputeOptimal,
    compute_optimal,
    matched_inference,
    pass_bins,
    quantile_bins,
)
from ponder.evals.stats.paired import Comparison, compare, equal_compute, mcnemar, sign_flips
from ponder.evals.stats.pareto import Point, dominated
from ponder.evals.stats.passk import (
    Sample,
    Samples,
    maj_at_k,
    mean_maj_at_k,
    mean_pass_at_k,
    pass_at_k,
)
from ponder.evals.stats.scaling import Slope, control, performance, scaling, scaling_over_items

__all__ = [
    "Attempts",
    "Broken",
    "Comparison",
    "ComputeOptimal",
    "Estimate",
    "Interval",
    "LengthAndAccuracy",
    "Point",
    "Ratio",
    "Sample",
    "Samples",
    "Slope",
    "Spread",
    "accuracy",
    "benjamini_hochberg",
    "bootstrap",
    "broke",
    "clustered_error",
    "compare",
    "compute_optimal",
    "control",
    "dominated",
    "equal_accuracy",
    "equal_compute",
    "holm",
    "length_and_accuracy",
    "maj_at_k",
    "matched_inference",
    "mcnemar",
    "mean_maj_at_k",
    "mean_pass_at_k",
    "measured",
    "needed",
    "pass_at_k",
    "pass_bins",
    "performance",
    "quantile_bins",
    "right",
    "scaling",
    "scaling_over_items",
    "sign_flips",
    "wilson",
]
