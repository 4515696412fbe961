"""The composition root: names become objects here, and nowhere else is the environment read."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ponder import models
from ponder.core.errors import UnknownName, UsageError, about
from ponder.runtime.preflight import check_roles, roles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ponder.core.calls import Prices
    from ponder.core.policy import Policy
    from ponder.core.protocols import Engine, Memory, Scorer, Strategy
    from ponder.engines.llama_cpp import LlamaCpp
    from ponder.engines.openvino import OpenVino
    from ponder.engines.servers.found import Found
    from ponder.engines.servers.link import Link
    from ponder.engines.servers.upstream import Upstream
    from ponder.evals.cluster import Outfit
    from ponder.evals.policies import Policies
    from ponder.models import Progress
    from ponder.sandbox import Sandbox

FILE = "ponder.toml"
GATEWAY = ("gateway", "presets", "effort")
"""Its tables that only `ponder serve` reads."""


@dataclass(frozen=True)
class Settings:
    """Where things are and what is used when nothing is said.

    Each is looked up as a flag, then as PONDER_<NAME> in the environment, then in ponder.toml in the working
    folder, then here. `engine` runs model files: "llama.cpp", or "openvino" where its extra is installed, which is
    faster on x86 (decision 9). `deterministic` is of llama.cpp's; `library` is a libllama.so that takes the place of
    the one in the wheel, built from the same release for this very processor (`make native`). `roles` are the models
    of roles other than the solver's: a table in ponder.toml, PONDER_ROLES="feedback=A;edit=B" in the environment.
    `upstreams` are the models on servers, [models.NAME] in ponder.toml; only there can they be given. So are the tables of
    `ponder serve`, [gateway], [presets.NAME] and [effort], which it reads itself. `file` is the ponder.toml that was read.
    """

    home: Path
    model: str | None = None
    strategy: str = "self-consistency"
    budget: str = "4k"
    threads: int | None = None
    requantise: bool = True
    deterministic: bool = False
    engine: str = "llama.cpp"
    library: Path | None = None
    roles: Mapping[str, str] = field(default_factory=dict, hash=False)
    upstreams: Mapping[str, Upstream] = field(default_factory=dict, hash=False)
    gateway: Mapping[str, Any] = field(default_factory=dict, hash=False)
    file: Path | None = None

    @property
    def runs(self) -> Path:
        """One file per run."""
        return self.home / "runs"

    @property
    def models(self) -> Path:
        """Model files that were pulled."""
        return self.home / "models"

    @property
    def policies(self) -> Path:
        """What `ponder calibrate` learnt, one file per policy."""
        return self.home / "policies"

    @property
    def cache(self) -> Path:
        """What can be made again: tunings, and model files that could not stand beside their originals."""
        return self.home / "cache"


def settings(
    environ: Mapping[str, str] | None = None, folder: Path | None = None, file: Path | None = None
) -> Settings:
    """The settings in force. `file` takes the place of ponder.toml in `folder`, the working folder.

    Raises:
        UsageError: ponder.toml cannot be read, or a value is of the wrong type.
        UnknownName: it has a key that does not exist.

    """
    environ = os.environ if environ is None else environ
    known = {f.name for f in fields(Settings)} - {"upstreams", "gateway", "file"}
    path = file or (folder or Path()) / FILE
    if file is not None and not file.is_file():
        raise UsageError(f"There is no file {file}. Name one with --config, or leave it out.")
    said_there = _read(path)
    with in_file(path):
        upstreams = _upstreams(said_there.pop("models", {}))
        gateway = {name: said_there.pop(name) for name in GATEWAY if name in said_there}
        found: dict[str, Any] = {}
        for key, value in said_there.items():
            with about(key):
                if key not in known:
                    raise UnknownName(f"setting in {FILE}", key, known | {"models", *GATEWAY})
                if f"PONDER_{key.upper()}" not in environ:
                    found[key] = (READERS.get(key) or _text)(f"{key} in {FILE}", value)
    for key in known:
        if said := environ.get(name := f"PONDER_{key.upper()}"):
            found[key] = (READERS.get(key) or _text)(name, said)
    home = found.pop("home", None)
    return replace(
        Settings(
            Path(home).expanduser() if home else _home(), upstreams=upstreams, gateway=gateway, file=path
        ),
        **found,
    )


@contextmanager
def in_file(path: Path | None) -> Iterator[None]:
    """Whoever says inside that a setting makes no sense says also in which line of the file it stands."""
    try:
        yield
    except UsageError as error:
        if error.setting and path is not None and path.is_file():
            at = line_of(path.read_text("utf-8"), error.setting)
            where = f"{'.'.join(error.setting)}, line {at} of {path.name}"
            error.args = (f"{error} Look at {where}.",) if at else error.args
        raise


def line_of(text: str, setting: Sequence[str]) -> int | None:
    """The line of a TOML text where a setting stands, or else the table or the key that it stands in."""
    table: tuple[str, ...] = ()
    found, depth = None, 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _names(header[1])
            there: tuple[str, ...] = ()
        elif key := _SET.match(line):
            there = _names(key[1])
        else:
            continue
        here = (*table, *there)
        if len(here) > depth and here == tuple(setting[: len(here)]):
            found, depth = number, len(here)
    return found


_HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_NAME = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_SET = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in re.findall(_NAME, dotted))


def _upstreams(tables: Any) -> Mapping[str, Upstream]:
    if not tables:
        return {}
    from ponder.engines.servers.upstream import Upstream

    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        with about("models"):
            raise UsageError(f"Models on servers are tables in {FILE}: [models.NAME], and below it url = ...")
    found = {}
    for name, table in tables.items():
        with about("models", name):
            found[name] = Upstream.of(name, table)
    return found


def _read(path: Path) -> dict[str, Any]:
    raw = b""
    try:
        raw = path.read_bytes() if path.is_file() else b""
        return tomllib.loads(raw.decode("utf-8").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        at = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path.name} cannot be read: line {at} is not in UTF-8.") from None
    except (tomllib.TOMLDecodeError, OSError) as error:
        last = raw.count(b"\n") + 1
        said = str(error).replace("at end of document", f"at its end, line {last}")
        raise UsageError(f"{path.name} cannot be read: {said}.") from None


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{where} takes text in quotes, not {value!r}.")
    return value


def _whole(where: str, value: Any) -> int:
    text = str(value)
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"{where} takes a whole number from 1 up, not {value!r}.")
    return int(text)


def _file(where: str, value: Any) -> Path:
    path = Path(_text(where, value)).expanduser()
    if not path.is_file():
        raise UsageError(f"{where} names {path}, and there is no such file.")
    return path


def _engine(where: str, value: Any) -> str:
    if value not in ENGINES:
        raise UsageError(f"{where} takes one of {', '.join(ENGINES)}, not {value!r}.")
    return str(value)


def _yes_or_no(where: str, value: Any) -> bool:
    said = str(value).lower()
    if said not in {"true", "false", "1", "0"}:
        raise UsageError(f"{where} takes true or false, not {value!r}.")
    return said in {"true", "1"}


def _roles(where: str, value: Any) -> dict[str, str]:
    if isinstance(value, str):
        parts = (part.partition("=") for part in value.split(";"))
        value = {role.strip(): name.strip() for role, _, name in parts}
    if not isinstance(value, dict) or not all(
        isinstance(name, str) and name and role for role, name in value.items()
    ):
        raise UsageError(
            f"{where} takes models by role, for example feedback = 'smollm2-135m'; not {value!r}."
        )
    if "solver" in value:
        raise UsageError(f"{where} has no solver: the setting `model` names its model.")
    return value


ENGINES = ("llama.cpp", "openvino")

READERS: dict[str, Callable[[str, Any], Any]] = {
    "threads": _whole,
    "requantise": _yes_or_no,
    "deterministic": _yes_or_no,
    "engine": _engine,
    "library": _file,
    "roles": _roles,
}


def _home() -> Path:
    from platformdirs import user_data_path

    return user_data_path("ponder", appauthor=False)


ROLE = re.compile(r"([A-Za-z][\w-]*)=(.+)", re.DOTALL)


def models_by_role(
    said: Sequence[str], settings: Settings, strategies: Sequence[Strategy]
) -> dict[str, str | None]:
    """Which model plays which role in the strategies: as said, "ROLE=MODEL" or a bare "MODEL" for the solver, else as
    set. None is the default model. Roles that are not there are played by the solver.

    Raises:
        UnknownName: no strategy has a role that was said; near ones are suggested.
        UsageError: two models were said for one role.

    """
    named: dict[str, str] = {}
    for word in said:
        by_role = None if Path(word).is_file() else ROLE.fullmatch(word)
        role, name = (by_role[1], by_role[2]) if by_role else ("solver", word)
        if role in named:
            raise UsageError(
                f"The role {role} was given two models, {named[role]} and {name}. Name one, or say whose the other is, "
                "for example -m judge=NAME."
            )
        named[role] = name
    check_roles(named, strategies, scorers())
    played = {role: name for role, name in settings.roles.items() if _plays(role, strategies)}
    return {"solver": settings.model} | played | named


def _plays(role: str, strategies: Sequence[Strategy]) -> bool:
    return any((found := roles(strategy, scorers())) is None or role in found for strategy in strategies)


def wanted(name: str | None, settings: Settings) -> Path | models.ModelFile:
    """What a name, or no name, means: the file at that path, or the catalogue's model, here or not.

    Without a name it is the first default model that is here, so that nothing is asked of a network while
    there is one; else the first.

    Raises:
        UnknownName, ModelFileError: it means nothing; the message says what would.

    """
    if name := name or settings.model:
        return models.resolve(name)
    here = (model for model in models.DEFAULT_ORDER if models.find(model, into=settings.models))
    return next(here, models.DEFAULT_ORDER[0])


def model_path(name: str | None, settings: Settings, *, progress: Progress | None = None) -> Path:
    """The file of a model by name or path, fetched first if need be; None is the default model.

    Raises:
        UnknownName, ModelUnavailable: with what to do instead.

    """
    found = wanted(name, settings)
    if isinstance(found, Path):
        return found
    if (name or settings.model) is None and models.find(found, into=settings.models) is None:
        return models.pull_default(into=settings.models, progress=progress)
    return models.pull(found, into=settings.models, progress=progress)


def engine_file(
    path: Path, settings: Settings, tell: Callable[[str], None] | None = None
) -> tuple[Path, str]:
    """The file that is opened for a model, and why that one: the same model as Q8_0 where that pays.

    It is made on first use; `tell` is told so before, and where it could not be made.

    Raises:
        ModelFileError: it is no model file, or cut short.
        UsageError: the library that the settings name is not the right one.

    """
    from ponder.engines._gguf import read_gguf
    from ponder.engines._llama import BindingMismatch, load_library
    from ponder.engines.embedded.requantise import MOSTLY_Q8_0, RequantiseFailed, kept, requantised, worth

    if settings.library:
        try:
            load_library(str(settings.library))
        except (BindingMismatch, OSError) as error:
            raise UsageError(
                f"The llama.cpp library {settings.library} cannot be used: {error} Build it with `make native`, or "
                "leave out the setting `library`."
            ) from error
    if settings.engine == "openvino":
        if read_gguf(path).file_type == MOSTLY_Q8_0:
            return path, "as it is, for it is Q8_0"
        if not (found := kept(path, settings.cache)):
            if tell:
                tell(f"{path.name}: openvino reads Q8_0 only. Making that file, once.")
            found = requantised(path, settings.cache)
        return found, "as Q8_0, which openvino asks for"
    if not settings.requantise:
        return path, "as it is, for requantise is false"
    if (why := worth(path)) is None:
        return path, "as it is: another form would not be much faster here"
    if found := kept(path, settings.cache):
        return found, str(why)
    if tell:
        tell(f"{path.name}: {why} Making that file, once.")
    try:
        return requantised(path, settings.cache), str(why)
    except RequantiseFailed as error:
        if tell:
            tell(str(error))
        return path, f"as it is. {error}"


def open_engine(
    path: Path, settings: Settings, tell: Callable[[str], None] | None = None
) -> LlamaCpp | OpenVino:
    """The embedded engine on a model file, as fast as it is known to be here; the caller closes it.

    Opened is the file that `engine_file` says, with what a tuning run found (`ponder doctor --tune`).
    It is called as the catalogue calls the file, else as the file is called: what is written in the file is
    often the name of some training run.

    Raises:
        ModelFileError: it is no model file, or cut short.
        Unsupported, UsageError: the engine of the settings cannot run this file, or is not installed.

    """
    from ponder.engines.embedded.tuning import remembered
    from ponder.engines.llama_cpp import LlamaCpp

    file, _ = engine_file(path, settings, tell)
    name = next((model.name for model in models.CATALOGUE.values() if model.file == path.name), path.stem)
    if settings.engine == "openvino":
        if settings.deterministic:
            raise UsageError(
                "engine = openvino has no deterministic mode. Leave out one of the two settings."
            )
        from ponder.engines.openvino import OpenVino

        return OpenVino(file, threads=settings.threads, name=name)
    tuning = remembered(file, settings.cache)
    return LlamaCpp(
        file,
        threads=settings.threads or (tuning.threads if tuning else None),
        flash_attn=tuning.flash_attn if tuning else True,
        name=name,
        deterministic=settings.deterministic,
    )


KNOWN_TO_CHILDREN = re.compile(
    r"PATH|LD_LIBRARY_PATH|DYLD_\w+|LANG|LC_\w+|TMPDIR|(OMP|GOMP|KMP|GGML|OPENBLAS|MKL)_\w+"
)


def bare_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process that is to know no secret: where modules and libraries are, how many threads."""
    environ = os.environ if environ is None else environ
    kept = {name: value for name, value in environ.items() if KNOWN_TO_CHILDREN.fullmatch(name)}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}


def simulated(name: str | None) -> Engine | None:
    """The simulated model, where that is what a name means: "simulated", or with parameters "simulated:skill=0.5"."""
    if name is None or name.partition(":")[0] != "simulated":
        return None
    from ponder.evals.simulated import Simulated

    return Simulated.named(name)


@cache
def scorers() -> Mapping[str, Scorer]:
    """Every scorer by its text, "judge:samples=3"; one of each in a process, for some hold weights."""
    from ponder.evals.simulated import SimulatedScorer
    from ponder.scorers import ByName

    return ByName({SimulatedScorer.name: SimulatedScorer})


def policies(settings: Settings) -> Policies:
    """Every policy by its name, or by the path of its file, as these settings have them."""
    from ponder.evals.policies import Policies

    return Policies(settings.policies)


def remote(name: str | None, settings: Settings) -> Upstream | None:
    """The model on servers that a name means: one of ponder.toml, or http://127.0.0.1:8000/v1#model."""
    if name is None or not name.startswith(("http://", "https://")):
        return settings.upstreams.get(name or "")
    from ponder.engines.servers.upstream import Upstream

    return Upstream.at(name)


def prices(models: Sequence[str] | None, settings: Settings) -> Prices | None:
    """Those of the solver's model, if they are known."""
    named = [name for name in models or () if not ROLE.fullmatch(name) or name.startswith("solver=")]
    upstream = remote(named[0].removeprefix("solver=") if named else settings.model, settings)
    return upstream.prices if upstream else None


def open_remote(
    upstream: Upstream,
    settings: Settings,
    tell: Callable[[str], None] | None = None,
    *,
    afresh: bool = False,
) -> Engine:
    """The engine of a model on servers; the caller closes it.

    What each server can do is probed once and kept (`ponder doctor URL` probes again, as `afresh` does).

    Raises:
        UsageError: the extra is not installed, or the address or the key's reference makes no sense.
        EngineError: a server cannot be reached, or refuses.

    """
    return upstream.engine(ways(upstream, settings, tell, afresh=afresh))


def ways(
    upstream: Upstream,
    settings: Settings,
    tell: Callable[[str], None] | None = None,
    *,
    afresh: bool = False,
) -> list[tuple[Link, Found]]:
    """The servers of a model, each with what it can do; see `open_remote`."""
    import anyio

    from ponder.engines.servers.found import Found
    from ponder.engines.servers.probe import probe

    folder = settings.cache / "servers"
    found_ways = []
    for link in links(upstream):
        found = None if afresh else Found.load(folder, link.url, upstream.model)
        if found is None:
            if tell:
                tell(f"Asking {link.where} what it can do, once.")
            found = anyio.run(probe, link, upstream.model, upstream.dialect)
            found.save(folder, upstream.model)
        found_ways.append((link, found))
    return found_ways


def links(upstream: Upstream) -> list[Link]:
    """The ways to the servers of a model; see `open_remote` for errors."""
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        raise UsageError(
            "Models on servers need an extra. Install it: pip install 'ponder[servers]'"
        ) from None
    from ponder.engines.servers.link import Link

    key = secret(upstream.key, f"key of the model {upstream.name}")
    return [Link(url, key, patience=upstream.patience, ca=upstream.ca) for url in upstream.urls]


def secret(reference: str | None, what: str, environ: Mapping[str, str] | None = None) -> str | None:
    """What "${env:NAME}" or "file:/path" refers to.

    Raises:
        UsageError: it refers to nothing, or is no reference; the message never tells what it is.

    """
    if reference is None:
        return None
    environ = os.environ if environ is None else environ
    if m := re.fullmatch(r"\$\{env:(\w+)\}", reference):
        if value := environ.get(m[1]):
            return value
        raise UsageError(f"The {what} is to be in the environment as {m[1]}, and is not. Set it.")
    if reference.startswith("file:"):
        try:
            return Path(reference.removeprefix("file:")).expanduser().read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise UsageError(
                f"The {what} is to be in the file {reference[5:]}, which cannot be read."
            ) from None
    raise UsageError(f"Write the {what} as ${{env:NAME}} or file:/path, not as it is.")


def memory(place: str | Path) -> Memory:
    """The memory that a path means: its passages found by words, or by meaning after "embeddings:".

    Raises:
        UsageError: there is no text there.
        Unsupported: embeddings are asked for, and their extra is not installed.

    """
    from ponder.memory import BM25, MiniLM, Vectors, passages

    how, colon, rest = str(place).partition(":")
    if colon and how == "embeddings":
        os.environ.setdefault(
            "HF_HUB_OFFLINE", "1"
        )  # the package holds its model; no hub is asked what is new
        return Vectors(passages(Path(rest).expanduser()), MiniLM())
    return BM25(passages(Path(place).expanduser()))


@cache
def sandbox() -> Sandbox:
    """Where programs that a model wrote are run; one in a process. None is started before it is needed."""
    from ponder.sandbox import Sandbox

    return Sandbox()


def code() -> dict[str, str]:
    """Which ponder this is: its version, and a digest of its source, for two of one version may differ."""
    from importlib.metadata import version

    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.relative_to(Path(__file__).parent).as_posix().encode() + file.read_bytes())
    return {"ponder": version("ponder"), "source": digest.hexdigest()[:12]}


def placed(name: str | None) -> str | None:
    """The name of a model, or a memory, as any folder has it: a file by its whole path."""
    if name is None:
        return None
    how = "embeddings:" if name.startswith("embeddings:") else ""
    path = Path(name.removeprefix(how)).expanduser()
    return how + str(path.resolve()) if path.exists() else name


def outfit(
    models: Mapping[str, str | None],
    settings: Settings,
    policies: Mapping[str, Policy],
    memory_at: str | None,
    workers: int,
) -> Outfit:
    """What one of so many workers on a cluster makes attempts with; what a server takes at once is shared among them.

    Names mean there what they mean here, but for the home: where there is no folder of that name, it is the worker's.

    Raises:
        PonderError: a model cannot be opened, or the memory not be read, on this machine.

    """
    from ponder.evals.cluster import Outfit

    shares = {
        name: replace(upstream, at_once=max(1, upstream.at_once // workers))
        for name, upstream in settings.upstreams.items()
    }
    home = settings.home if settings.home.is_dir() else _home()
    settings = replace(settings, home=home, upstreams=shares)
    opened: dict[str, Engine] = {}
    at_once = 0
    for name in dict.fromkeys(named or settings.model or "" for named in models.values()):
        if engine := simulated(name):
            opened[name] = engine
        elif upstream := remote(name, settings):
            opened[name] = open_remote(upstream, settings)
            at_once += upstream.at_once
        else:
            opened[name] = open_engine(model_path(name or None, settings), settings)
    engines = {role: opened[name or settings.model or ""] for role, name in models.items()}

    def close_all() -> None:
        for engine in opened.values():
            close(engine)

    recalled = memory(memory_at) if memory_at else None
    return Outfit(engines, scorers(), policies, recalled, sandbox(), at_once or None, close_all)


def close(engine: Engine) -> None:
    """Close an engine that can be closed."""
    if callable(end := getattr(engine, "close", None)):
        end()


def versions() -> dict[str, str]:
    """What this runs on; stored with every run."""
    from importlib.metadata import version

    names = ["ponder", "xllamacpp", "numpy", "anyio", "math-verify", "sympy"]
    if settings().engine == "openvino":
        names.append("openvino")
    return {"python": sys.version.split()[0], **{name: version(name) for name in names}}
