"""Training: examples with what is to be learnt of them, and thin recipes. Uses what `ponder.evals` makes."""
