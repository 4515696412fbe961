"""The composition root: names become objects here, and nowhere else is the environment read."""

from __future__ import annotations

from ponder.config.cluster import outfit, placed
from ponder.config.environment import KNOWN_TO_CHILDREN, bare_environment, secret
from ponder.config.file import FILE, in_file, line_of
from ponder.config.model_files import engine_file, model_path, open_engine, wanted
from ponder.config.parts import close, memory, policies, sandbox, scorers, simulated
from ponder.config.provenance import code, versions
from ponder.config.roles import ROLE, models_by_role
from ponder.config.servers import links, open_remote, prices, remote, ways
from ponder.config.setting import GATEWAY, Settings, settings
from ponder.config.values import ENGINES, READERS

__all__ = [
    "ENGINES",
    "FILE",
    "GATEWAY",
    "KNOWN_TO_CHILDREN",
    "READERS",
    "ROLE",
    "Settings",
    "bare_environment",
    "close",
    "code",
    "engine_file",
    "in_file",
    "line_of",
    "links",
    "memory",
    "model_path",
    "models_by_role",
    "open_engine",
    "open_remote",
    "outfit",
    "placed",
    "policies",
    "prices",
    "remote",
    "sandbox",
    "scorers",
    "secret",
    "settings",
    "simulated",
    "versions",
    "wanted",
    "ways",
]
