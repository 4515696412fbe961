"""Tasks: problems with what is right, from wherever people keep them. `load` is the only door."""

from ponder.evals.tasks.loaded import Tasks
from ponder.evals.tasks.loading import DEFAULT, load

__all__ = ["DEFAULT", "Tasks", "load"]
