"""The question as a prompt: how it is to be answered, worked examples, and the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.thinking.prompts.coding import write_program

if TYPE_CHECKING:
    from ponder.core.problem import Kind, Problem

Style = Literal["plain", "direct", "cot", "draft", "steps"]
"""`steps` is a chain of thought with each step in a paragraph of its own, for methods that go step by step."""

# The three instructions are those of Chain of Draft's comparison (Xu et al. 2025, 2502.18600, section 3);
# ours for chain of thought says where the answer stands, so that it can be found.
_INSTRUCTION: dict[Style, str] = {
    "direct": "Answer the question directly. Do not return any preamble, explanation, or reasoning.",
    "cot": "Think step by step to answer the question. End with one line: The answer is ...",
    "draft": (
        "Think step by step, but only keep minimum draft for each thinking step, with 5 words at most. "
        "Return the answer at the end of the response after a separator ####."
    ),
    "steps": (
        "Think step by step to answer the question. Write each step in a paragraph of its own, with an empty line "
        "after it. End with one paragraph: The answer is ..."
    ),
}

# Worked examples: small models follow a format they have seen and little else. Each is one question with its
# answer in every style. They differ in length on purpose: models of this size copy the
# number of steps from the examples, the last one above all. Chosen on the 0.5B model
# with items of another seed than the reports have.
_EXAMPLES: tuple[dict[Style, str], ...] = (
    {
        "plain": "A box holds 12 pencils. Tom buys 3 boxes and gives 7 pencils away. How many are left?",
        "direct": "29",
        "cot": "3 * 12 = 36 pencils. 36 - 7 = 29. The answer is 29.",
        "draft": "3 * 12 = 36; 36 - 7 = 29 #### 29",
        "steps": "3 * 12 = 36 pencils.\n\n36 - 7 = 29.\n\nThe answer is 29.",
    },
    {
        "plain": (
            "A baker makes 4 trays of 12 rolls. He sells half of the rolls in the morning and 9 in the afternoon. "
            "Each roll costs 3 dollars. How much money does he take?"
        ),
        "direct": "99",
        "cot": (
            "He makes 4 * 12 = 48 rolls. In the morning he sells 48 / 2 = 24 rolls. In all he sells 24 + 9 = 33 rolls. "
            "He takes 33 * 3 = 99 dollars. The answer is 99."
        ),
        "draft": "4 * 12 = 48; 48 / 2 = 24; 24 + 9 = 33; 33 * 3 = 99 #### 99",
        "steps": (
            "He makes 4 * 12 = 48 rolls.\n\nIn the morning he sells 48 / 2 = 24 rolls.\n\n"
            "In all he sells 24 + 9 = 33 rolls.\n\nHe takes 33 * 3 = 99 dollars.\n\nThe answer is 99."
        ),
    },
    {
        "plain": "State the final answer to the following arithmetic problem: 34 + 25 - 18 =",
        "direct": "41",
        "cot": "34 + 25 = 59. 59 - 18 = 41. The answer is 41.",
        "draft": "34 + 25 = 59; 59 - 18 = 41 #### 41",
        "steps": "34 + 25 = 59.\n\n59 - 18 = 41.\n\nThe answer is 41.",
    },
)

SHOTS = len(_EXAMPLES)

LETS_THINK = "Let's think step by step."
"""The best of the fourteen triggers of Kojima et al. 2022 (2205.11916, table 4)."""

_SO_THE_ANSWER: dict[Kind, str] = {
    "math": "\nTherefore, the answer (arabic numerals) is",
    "yesno": "\nTherefore, the answer (Yes or No) is",
}


def ask(problem: Problem, style: Style = "plain", shots: int = SHOTS) -> Prefix:
    """The problem as a prompt: the style's instruction, `shots` worked examples, then the conversation.

    A conversation of several turns gets no examples, and one with tools or a response format no instruction
    either: they would contradict what the user set up. A program is asked for as such in every style.
    """
    if problem.kind == "code" and not problem.tools and problem.response_format is None:
        return write_program(problem)
    if problem.tools or problem.response_format is not None:
        style = "plain"
    system = [m for m in problem.messages if m.role == "system"]
    turns = [m for m in problem.messages if m.role != "system"]
    if style != "plain":
        given = "\n\n".join([*(m.text for m in system), _INSTRUCTION[style]])
        system = [Message("system", given)]
        if len(turns) == 1:
            for example in reversed(_EXAMPLES[: max(0, shots)]):
                turns = [Message("user", example["plain"]), Message("assistant", example[style]), *turns]
    prompt = Prompt((*system, *turns), tools=problem.tools, response_format=problem.response_format)
    return Prefix(prompt)


def so_the_answer(problem: Problem) -> str:
    """The second stage's trigger, by what kind of answer is wanted (2205.11916, appendix A.5)."""
    if problem.kind == "choice":
        last = chr(ord("A") + (problem.choices or 5) - 1)
        return f"\nTherefore, among A through {last}, the answer is"
    return _SO_THE_ANSWER.get(problem.kind, "\nTherefore, the answer is")
