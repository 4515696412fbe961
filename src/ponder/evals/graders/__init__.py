"""Graders: whether an answer is right. They alone, with tasks, ever see what is."""

from ponder.evals.graders.grading import Graders

__all__ = ["Graders"]
