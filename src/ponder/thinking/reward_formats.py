r"""How reward models want a question and its steps written, and where the value of each step stands (METHODS 3.7).

Each family was trained on one layout and says little about any other. `tag` ends a step in the text; values are read
there, from two words that the model may say next (`good`, `bad`) or from a head of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ponder.thinking.prompts import defused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FormatName = Literal["math-shepherd", "rlhflow", "qwen", "skywork", "outcome"]

_QWEN_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."


@dataclass(frozen=True, slots=True)
class Format:
    """One family's layout.

    Args:
        name: of the family.
        tag: the text at whose last token a step's value is read; "" where the layout says it otherwise.
        good, bad: the words whose probabilities are compared; "" where the model has a head.
        row: which number of a server's row for a step is the probability that it is good.

    """

    name: FormatName
    tag: str = ""
    good: str = ""
    bad: str = ""
    row: int = -1

    def text(self, question: str, steps: Sequence[str]) -> str:
        """The whole text, control tokens of the layout included."""
        question, steps = defused(question.strip()), [_step(step, self.name) for step in steps]
        match self.name:
            case "math-shepherd":
                return f"{question} " + "\n".join(f"{step} {self.tag}" for step in steps)
            case "qwen":
                return (
                    f"<|im_start|>system\n{_QWEN_SYSTEM}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n"
                    f"<|im_start|>assistant\n{''.join(step + self.tag for step in steps)}<|im_end|><|endoftext|>"
                )
            case "skywork":
                return f"{question}\n" + "".join(f"{step}\n" for step in steps)
        return "\n\n".join(steps)

    def turns(self, question: str, steps: Sequence[str]) -> list[dict[str, str]]:
        """The conversation: one turn of the user for each step with "+" after it, or question and solution."""
        question, steps = defused(question.strip()), [defused(step.strip()) for step in steps]
        if self.name == "outcome":
            return [
                {"role": "user", "content": question},
                {"role": "assistant", "content": "\n\n".join(steps)},
            ]
        turns = []
        for i, step in enumerate(steps):
            turns.append({"role": "user", "content": step if i else f"{question} {step}"})
            turns.append({"role": "assistant", "content": self.good})
        return turns


def _step(step: str, name: FormatName) -> str:
    step = defused(step.strip())
    return " ".join(step.split("\n")) if name == "skywork" else step  # a line is a step there


FORMATS: Mapping[FormatName, Format] = {
    "math-shepherd": Format("math-shepherd", tag="ки", good="+", bad="-", row=0),
    "rlhflow": Format("rlhflow", good="+", bad="-", row=0),
    "qwen": Format("qwen", tag="<extra_0>", row=1),
    "skywork": Format("skywork", tag="\n"),
    "outcome": Format("outcome"),
}
