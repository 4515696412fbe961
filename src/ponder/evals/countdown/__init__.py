"""Countdown, written line by line as self-backtracking writes it (2502.04404): puzzles, solver, checker, splits."""

from ponder.evals.countdown.checking import GOAL, GRADER, Fault, Verifier, check
from ponder.evals.countdown.making import Countdown, Split
from ponder.evals.countdown.puzzle import Line, Puzzle
from ponder.evals.countdown.solving import leads_there, moves, solutions

__all__ = [
    "GOAL",
    "GRADER",
    "Countdown",
    "Fault",
    "Line",
    "Puzzle",
    "Split",
    "Verifier",
    "check",
    "leads_there",
    "moves",
    "solutions",
]
