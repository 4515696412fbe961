"""A model and its tokenizer from a folder or a hub, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ponder.core.errors import ModelFileError

if TYPE_CHECKING:
    import os


def load(path: str | os.PathLike[str], *, dtype: str, local: bool) -> tuple[Any, Any]:
    """Model and tokenizer. No code that comes with them is run, and no weights are read but safetensors.

    Raises:
        ModelFileError: they are missing, cut short, or lack some of the weights.

    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {"trust_remote_code": False, "local_files_only": local}
    name = str(path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **where)
        model, told = AutoModelForCausalLM.from_pretrained(
            name, dtype=dtype, use_safetensors=True, output_loading_info=True, **where
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelFileError(
            f"Cannot load {name}: {error}. Give a folder or a hub name with config.json, tokenizer.json and "
            "safetensors weights."
        ) from error
    lacking = [*told.get("missing_keys", ()), *told.get("mismatched_keys", ())]
    if lacking:  # transformers would make them up, and the model would write noise
        raise ModelFileError(
            f"{name} lacks {len(lacking)} of its weights, among them {lacking[0]}. Fetch it again."
        )
    return model, tokenizer
