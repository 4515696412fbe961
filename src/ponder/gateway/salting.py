"""A salt for each key, so that no client learns from the time of an answer what another one asked.

Servers that keep what they have read (vLLM, SGLang) read a text that begins alike only once, and take longer for one that
is new. With a salt they share what they read only within it. It is made of the key's id and of chance that this process
keeps to itself.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

_CHANCE: Final = secrets.token_bytes(32)


def salt(key: str) -> str | None:
    """That of a key, by its id; where there are no keys there is no salt either."""
    return hmac.new(_CHANCE, key.encode(), hashlib.sha256).hexdigest()[:32] if key else None
