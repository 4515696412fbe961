"""Writes what the docs tell of the code: docs/cli.md, and the table of strategies in README.md.

python docs/generate.py            write
python docs/generate.py --check    fail if something is out of date
"""
# ruff: noqa: INP001

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer.main

from ponder.cli import app as cli
from ponder.cli.show import explain
from ponder.strategies import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- strategies: written by docs/generate.py -->", "<!-- end of strategies -->"


def command_line() -> str:
    """docs/cli.md: every command with its arguments and options, from the command line itself."""
    group: Any = typer.main.get_command(cli.app)
    context = group.make_context("ponder", ["doctor"], resilient_parsing=True)
    parts = [
        "# The command line",
        "<!-- Written by docs/generate.py (`make docs`). Change the docstrings in src/ponder/cli/commands/ instead. -->",
        _prose(inspect.getdoc(cli) or ""),
        _options(group, context),
    ]
    for name, command in group.commands.items():
        if command.hidden:
            continue
        inner = command.make_context(name, [], parent=context, resilient_parsing=True)
        parts += [
            f"## ponder {name}",
            f"```text\n{' '.join(command.get_usage(inner).split()).removeprefix('Usage: ')}\n```",
            _prose(inspect.getdoc(command.callback) or ""),
            _options(command, inner),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def strategies() -> str:
    """The table of strategies in README.md."""
    rows = ["| strategy | what it does | tokens | paper |", "|---|---|---|---|"]
    for _, cls in sorted(CATALOGUE.items()):
        about = explain(cls)
        names = ", ".join(f"`{name}`" for name in (about["name"], *about["aliases"]))
        paper = f"[{about['paper']}](https://arxiv.org/abs/{about['paper']})"
        rows.append(f"| {names} | {about['summary']} | {about['cost']} | {paper} |")
    return "\n".join(rows)


def pages() -> Iterator[tuple[Path, str]]:
    """Each page with what it should say."""
    yield ROOT / "docs" / "cli.md", command_line()
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"README.md has lost its marks: {BEGIN} ... {END}")
    yield readme, f"{before}{BEGIN}\n{strategies()}\n{END}{after}"


def _options(command: Any, context: Any) -> str:
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = [
        f"| `{_cell(left)}` | {_cell(right)} |"
        for left, right in filter(None, records)
        if "--help" not in left
    ]
    return "\n".join(["| | |", "|---|---|", *rows]) if rows else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _prose(docstring: str) -> str:
    """A docstring as Markdown: its examples become a block of commands, its exit codes a list."""
    text, _, examples = docstring.partition("\nExamples:\n")
    examples, _, codes = examples.partition("\n\nExit codes:\n")
    paragraphs = []
    for paragraph in text.strip().split("\n\n"):
        flat = " ".join(paragraph.split())
        if flat.startswith("Exit codes: "):
            codes = flat.removeprefix("Exit codes: ").rstrip(".").replace("; ", "\n")
        else:
            paragraphs.append(flat)
    if examples:
        lines = (f"$ {line.strip()}" for line in examples.splitlines() if line.strip())
        paragraphs.append("```console\n" + "\n".join(lines) + "\n```")
    if codes:
        items = (f"* {line.strip()}" for line in codes.splitlines() if line.strip())
        paragraphs.append("Exit codes:\n\n" + "\n".join(items))
    return "\n\n".join(paragraphs)


def main() -> None:
    """Write the pages, or say which are out of date."""
    stale = [(path, text) for path, text in pages() if not path.is_file() or path.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        names = ", ".join(str(path.relative_to(ROOT)) for path, _ in stale)
        raise SystemExit(f"Out of date: {names}. Run: make docs" if stale else 0)
    for path, text in stale:
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
