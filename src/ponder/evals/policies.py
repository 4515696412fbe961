"""Policies by name: the one that ships, those that were learnt here, and any file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ponder.core.errors import UsageError
from ponder.core.policy import DEFAULT, Policy
from ponder.strategies import parse
from ponder.thinking import policies

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDING = ".toml"


class Policies(Mapping[str, Policy]):
    """Reads a policy when it is first asked for, and keeps it. A name that ends in .toml is a file's path.

    Asked for one whose file cannot be read it raises UsageError, with the line.

    Args:
        folder: of those that were learnt here, NAME.toml; it need not exist.

    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Policy] = {}

    def __getitem__(self, name: str) -> Policy:
        if name not in self._read:
            text = self.text(name)
            self._read[name] = policies.read(text, name, str(self.path(name) or name), _check)
        return self._read[name]

    def text(self, name: str) -> str:
        """What its file says.

        Raises:
            KeyError: there is no such policy.
            UsageError: the file cannot be read.

        """
        path = self.path(name)
        if path is None and name == DEFAULT:
            return resources.files("ponder.evals").joinpath(DEFAULT + ENDING).read_text("utf-8")
        if path is None:
            raise KeyError(name)
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"The policy {path} cannot be read: {error}.") from None

    def path(self, name: str) -> Path | None:
        """Its file, where it has one."""
        if name.endswith(ENDING):
            path = Path(name).expanduser()
            if not path.is_file():
                raise UsageError(
                    f"There is no policy file {path}. Write one: ponder calibrate TASK -o {path}"
                )
            return path
        found = self._folder / (name + ENDING)
        return found if found.parent == self._folder and found.is_file() else None

    def __iter__(self) -> Iterator[str]:
        here = sorted(path.stem for path in self._folder.glob("*" + ENDING))
        return iter(dict.fromkeys([DEFAULT, *here]))

    def __len__(self) -> int:
        return len(list(iter(self)))


def _check(text: str) -> None:
    """See that a rule names a strategy, and none that would ask a policy again.

    Raises:
        UsageError: it does not.

    """
    if _asks(parse(text)):
        raise UsageError("a rule cannot name auto, which would ask a policy again; name what is to be done.")


def _asks(strategy: object) -> bool:
    inside = [getattr(strategy, name) for name in getattr(strategy, "__dataclass_fields__", ())]
    return hasattr(strategy, "policy") or any(_asks(part) for part in inside if hasattr(part, "solve"))
