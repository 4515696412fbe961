"""The command line: `ponder --help` tells."""

from ponder.cli.app import main

__all__ = ["main"]
