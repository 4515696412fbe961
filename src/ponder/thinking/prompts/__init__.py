"""The only place that knows wording: one file for each way of asking. Strategies never spell a prompt."""

from ponder.thinking.prompts.asking import LETS_THINK, SHOTS, Style, ask, so_the_answer

__all__ = ["LETS_THINK", "SHOTS", "Style", "ask", "so_the_answer"]
