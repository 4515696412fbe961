"""Searches for soft tokens that are kept beside the run files, so that the same command goes on with them."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from ponder.core.errors import StoreError
from ponder.evals.attacks.soft_tokens import Reached
from ponder.store import names

if TYPE_CHECKING:
    from pathlib import Path

    from ponder.evals.attacks.soft_tokens import SoftTokens, WhiteBox

SUFFIX = ".soft.npz"


@dataclass(frozen=True, slots=True)
class Kept:
    """How far one search on one model is, in a file of numbers: no pickle is written or read.

    Its name tells the search and the model, by the model's name, tokenizer, and width and mean norm of its embeddings:
    another model with the same name has another file.
    """

    path: Path
    soft: SoftTokens
    width: int

    @classmethod
    async def of(cls, soft: SoftTokens, engine: WhiteBox, directory: Path) -> Kept:
        """The file of a search on that model; it need not be there."""
        width, norm = await engine.embeddings()
        about = engine.capabilities
        model = sha256(repr((about.name, about.tokenizer, width, norm)).encode()).hexdigest()[:8]
        return cls(directory / f"{soft.search}-{model}{SUFFIX}", soft, width)

    def read(self) -> Reached | None:
        """How far it is; None where it has not begun.

        Raises:
            StoreError: the file is damaged, or of something else.

        """
        if not self.path.is_file():
            return None
        try:
            with self.path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                found = Reached(*(file[name] for name in Reached._fields))
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise self._damaged(" ".join(str(error).split())) from error
        rows = [part.shape for part in (found.vectors, found.first, found.second)]
        if rows != [(self.soft.tokens, self.width)] * 3 or not 0 < found.losses.size <= self.soft.steps:
            raise self._damaged("it is of another search")
        if not all(part.dtype.kind == "f" and np.isfinite(part).all() for part in found):
            raise self._damaged("it holds what is no number")
        return found

    def write(self, reached: Reached) -> None:
        """Keep how far it is. The file is there whole or not at all, and only its owner may read it.

        Raises:
            StoreError: it cannot be written.

        """
        draft = self.path.with_suffix(".new")
        try:
            names.make(self.path.parent)
            draft.touch(mode=0o600)
            with draft.open("wb") as file:
                np.savez(file, allow_pickle=False, **reached._asdict())
            draft.replace(self.path)
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be written ({error.strerror or error}). Choose another directory for runs."
            ) from error

    def _damaged(self, why: str) -> StoreError:
        return StoreError(f"{self.path} cannot be read ({why[:200]}). Delete it, to search again.")
