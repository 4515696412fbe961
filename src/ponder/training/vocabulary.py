"""A tokenizer as small as Countdown: a token for each whole number, each sign and each fixed phrase."""

from __future__ import annotations

from typing import Any, Final

from ponder.evals.countdown import GOAL
from ponder.training.examples import MARKER

END, UNKNOWN = "</s>", "<unk>"

BEFORE, BETWEEN, AFTER = "###Question: numbers [", "]->target ", "\n###Response:\n"
PHRASES: Final = (BEFORE, BETWEEN, AFTER, GOAL, MARKER, ", ", "\n", "+", "-", "*", "/", "=")

TEMPLATE: Final = "###Question: {{ messages[-1]['content'] }}\n###Response:{{ '\\n' }}"
"""The last line break is spelt out, for a template loses one at its end. A question stands in the
text that the model was trained on, whatever instructions and examples come with it.
"""


def tokenizer(largest: int) -> Any:
    """A fast tokenizer of transformers for numbers up to `largest`; everything it does not know is `<unk>`.

    The marker is an ordinary token, so that it is text wherever text is shown, in strategies that do not know it too.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    spelt = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    words = [*PHRASES, *map(str, range(largest + 1))]
    vocabulary = {END: 0, UNKNOWN: 1}
    for word in words:
        vocabulary[spelt.pre_tokenize_str(word)[0][0]] = len(vocabulary)
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    pattern = "|".join([*map(_quoted, PHRASES), "[0-9]+", r"[\s\S]"])
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), behavior="isolated"), spelt]
    )
    made.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=END, unk_token=UNKNOWN, pad_token=END, model_max_length=64
    )
    fast.chat_template = TEMPLATE
    return fast


def _quoted(phrase: str) -> str:
    """The phrase as a pattern."""
    return "".join(f"\\{char}" if char in "[]<>+-*/=!#|" else char for char in phrase)
