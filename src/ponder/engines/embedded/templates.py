"""Chat templates: a conversation as the text that a model was trained on.

A template comes with the model file, from a stranger. It runs in jinja2's immutable sandbox, is capped in size,
and never sees what the messages say: each content is a mark that is replaced after rendering. So a template
cannot trim it, and the text knows which of its parts the template wrote.
"""

from __future__ import annotations

import contextlib
import re
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ponder.core.errors import EngineError, Unsupported, UsageError
from ponder.core.prefix import Prompt
from ponder.core.problem import Message
from ponder.thinking.markers import of_template

if TYPE_CHECKING:
    from ponder.core.markers import Markers

LARGEST = 64 * 1024
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_MARK = re.compile("\ue000(\\d+)\ue001")  # private-use characters; no template writes them


class ChatTemplate:
    """One model's template; ChatML where the file has none, or one too large to be honest."""

    def __init__(self, source: str | None, *, bos: str = "", eos: str = "") -> None:
        self._source = source
        self.own = source is not None and len(source) <= LARGEST
        world = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"], autoescape=False
        )
        world.globals.update(raise_exception=_refuse, strftime_now=_now, bos_token=bos, eos_token=eos)
        try:
            self._template = world.from_string(source if source is not None and self.own else CHATML)
        except jinja2.TemplateError as error:
            raise EngineError(
                f"The model file's chat template cannot be read: {error}. Use another file of the model."
            ) from error

    @property
    def markers(self) -> Markers | None:
        """How the model marks its thinking; None if the template speaks of none."""
        opened = ""
        with contextlib.suppress(UsageError):  # one that takes no such conversation tells nothing about it
            opened = self.render(Prompt((Message("user", "?"),)))[-1][0]
        found = of_template(self._source, opened)
        return found if found.end else None

    def render(self, prompt: Prompt) -> list[tuple[str, bool]]:
        """The text in pieces, each with whether it is the content of a message. It ends where the answer begins.

        Raises:
            UsageError: there is no message, or the template refuses the conversation.
            Unsupported: a message has an image or another part that is no text.

        """
        if not prompt.messages:
            raise UsageError("The prompt is empty. Give it a message, or raw text.")
        contents = [_text(message) for message in prompt.messages]
        messages = [
            {**message.extra, "role": message.role, "content": f"\ue000{i}\ue001" if contents[i] else ""}
            for i, message in enumerate(prompt.messages)
        ]
        try:
            text = self._template.render(
                messages=messages, tools=list(prompt.tools) or None, add_generation_prompt=True
            )
        except (
            jinja2.TemplateError,
            TypeError,
            ValueError,
            ArithmeticError,
            LookupError,
            AttributeError,
        ) as error:
            raise UsageError(f"The model's chat template refuses this conversation: {error}.") from error
        pieces = []
        for at, piece in enumerate(_MARK.split(text)):
            given = at % 2 == 1
            known = given and int(piece) < len(contents)
            pieces.append((contents[int(piece)] if known else "" if given else piece, given))
        return [piece for piece in pieces if piece[0]]


def _text(message: Message) -> str:
    for part in () if isinstance(message.content, str) else message.content:
        if part.get("type") != "text":
            raise Unsupported(
                f"The embedded engine reads text only, and a message has a part of type {part.get('type')!r}. "
                "Leave it out, or use a server whose model can see it."
            )
    return message.text


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)
