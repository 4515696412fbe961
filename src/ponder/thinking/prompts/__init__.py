"""The only place that knows wording: one file for each way of asking. Strategies never spell a prompt."""

from ponder.thinking.prompts.actions import SUBANSWER, SUBQUESTION, rephrase, rephrased
from ponder.thinking.prompts.asking import LETS_THINK, SHOTS, Style, ask, so_the_answer
from ponder.thinking.prompts.associating import (
    associate,
    read_association,
    read_relevance,
    relevance,
    with_memory,
)
from ponder.thinking.prompts.coding import (
    compare_programs,
    debug_program,
    derive,
    implement,
    observe,
    pseudocode,
    read_items,
    sketch,
    sketch_otherwise,
    write_distinguishing_inputs,
    write_inputs,
    write_program,
)
from ponder.thinking.prompts.critique import (
    edit,
    feedback_on,
    refine,
    revise,
    self_feedback,
    synthesise,
    textual_gradient,
    textual_loss,
    textual_update,
)
from ponder.thinking.prompts.fences import defused, fenced
from ponder.thinking.prompts.forming import in_form
from ponder.thinking.prompts.judging import (
    compare_solutions,
    comparison_grammar,
    is_it_true,
    judge_solution,
    read_comparison,
    read_score,
    says_nothing,
    score_grammar,
)
from ponder.thinking.prompts.probing import PROBE
from ponder.thinking.prompts.thoughts import (
    propose_thoughts,
    read_thoughts,
    read_value,
    read_vote,
    value_thought,
    vote_thoughts,
)

__all__ = [
    "LETS_THINK",
    "PROBE",
    "SHOTS",
    "SUBANSWER",
    "SUBQUESTION",
    "Style",
    "ask",
    "associate",
    "compare_programs",
    "compare_solutions",
    "comparison_grammar",
    "debug_program",
    "defused",
    "derive",
    "edit",
    "feedback_on",
    "fenced",
    "implement",
    "in_form",
    "is_it_true",
    "judge_solution",
    "observe",
    "propose_thoughts",
    "pseudocode",
    "read_association",
    "read_comparison",
    "read_items",
    "read_relevance",
    "read_score",
    "read_thoughts",
    "read_value",
    "read_vote",
    "refine",
    "relevance",
    "rephrase",
    "rephrased",
    "revise",
    "says_nothing",
    "score_grammar",
    "self_feedback",
    "sketch",
    "sketch_otherwise",
    "so_the_answer",
    "synthesise",
    "textual_gradient",
    "textual_loss",
    "textual_update",
    "value_thought",
    "vote_thoughts",
    "with_memory",
    "write_distinguishing_inputs",
    "write_inputs",
    "write_program",
]
from ponder.thinking.prompts.forcing import Condition, conditioned

__all__ = ["LETS_THINK", "SHOTS", "Condition", "Style", "ask", "conditioned", "so_the_answer"]
