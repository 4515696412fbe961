"""What the docs say is so: generated parts are up to date, links lead somewhere, examples run, commands parse."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.main

from ponder import Budget
from ponder.cli.app import app
from ponder.strategies import CATALOGUE, parse

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in PAGES}

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`(ponder [^`\n]+)`")


class Block(NamedTuple):
    page: str
    line: int
    language: str
    text: str


BLOCKS = [
    Block(page, text[: m.start()].count("\n") + 1, m[1].strip(), m[2])
    for page, text in TEXTS.items()
    for m in _FENCE.finditer(text)
]
PYTHON = [block for block in BLOCKS if block.language.split()[:1] == ["python"]]


def spoken(page, text):
    """Every `ponder ...` command on a page, in blocks and in the text."""
    for block in BLOCKS:
        if block.page == page and block.language in ("console", "bash", "sh"):
            for line in block.text.splitlines():
                command = line.removeprefix("$ ").rpartition("| ")[2].partition(" #")[0].strip()
                if command.startswith("ponder "):
                    yield command
    for command in _SPAN.findall(_FENCE.sub("", text)):
        if "..." not in command.replace('"..."', ""):
            yield command


COMMANDS = sorted({(page, command) for page, text in TEXTS.items() for command in spoken(page, text)})


def name(block):
    return f"{block.page}:{block.line}"


def test_the_pages_were_found():
    assert len(PAGES) > 10
    assert len(PYTHON) > 4
    assert len(COMMANDS) > 20


def test_what_is_generated_is_up_to_date():
    command = [sys.executable, ROOT / "docs" / "generate.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_to_files_and_headings_that_exist(page):
    for link in _LINK.findall(_FENCE.sub("", TEXTS[page])):
        if re.match("[a-z]+:", link):
            assert link.startswith("https://"), link
            continue
        path, _, heading = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page} links to {link}"
        if heading:
            assert heading in headings(target), f"{page} links to {link}"


def headings(page):
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("block", PYTHON, ids=name)
def test_python_in_the_docs_compiles(block):
    compile(block.text, name(block), "exec")


@pytest.mark.parametrize("block", [b for b in PYTHON if "runs" in b.language.split()], ids=name)
def test_python_marked_runs_runs(block):
    # In a process of its own: a method that is defined joins the catalogue.
    command = [sys.executable, "-W", "error", "-c", block.text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr


# Methods that the docs define themselves.
OWN = set(re.findall(r'name: ClassVar\[str\] = "(.+?)"', "".join(TEXTS.values()))) | {"NAME"}


def several(value):
    """What an option was given: nothing, one word, or many."""
    return [value] if isinstance(value, str) else value or []


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_in_the_docs_are_understood(page, command):
    words = shlex.split(command)[1:]
    group = typer.main.get_command(app)
    if len(words) == 1 and words[0] in group.commands:
        return  # speaks of the command
    context = group.make_context("ponder", list(words))
    chosen, subcommand, rest = group.resolve_command(context, words)
    given = subcommand.make_context(chosen, rest, parent=context).params
    for budget in several(given.get("budget")):
        Budget.parse(budget)
    for strategy in several(given.get("strategy") or (chosen == "strategies" and given["name"])):
        if strategy.partition(":")[0] not in OWN:
            parse(strategy)


@pytest.mark.parametrize("method", sorted(CATALOGUE))
def test_each_method_has_an_entry_in_the_paper_index(method):
    entry = TEXTS["docs/paper_index.md"].partition(f"\n## {method}\n")[2].partition("\n## ")[0]
    assert CATALOGUE[method].paper in entry
    for what in ("Paper", "Idea", "File", "Command", "Paper's figures", "Ours", "Differences"):
        assert f"* **{what}**: " in entry, f"{method} has no {what}"


def test_every_decision_is_listed():
    for page in ROOT.glob("docs/decisions/*.md"):
        assert f"decisions/{page.name}" in TEXTS["docs/index.md"]


def test_the_changelog_keeps_its_form():
    sections = re.findall(r"^## \[(.+?)\]", TEXTS["CHANGELOG.md"], re.MULTILINE)
    assert sections[0] == "Unreleased"
    kinds = set(re.findall(r"^### (.+)$", TEXTS["CHANGELOG.md"], re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_each_test_and_row_that_the_rules_of_security_name_is_there():
    text = TEXTS["docs/security.md"]
    sources = "".join(path.read_text("utf-8") for path in ROOT.glob("tests/**/*.py"))
    named = set(re.findall(r"`(test_\w+)`", text)) | set(re.findall(r"\b(R\d+)\b", text))
    assert len(named) > 20
    for name in named:
        assert re.search(rf'def {name}\b|row\(\s*"{name}"', sources), name
    for path in re.findall(r"`((?:tests|docs)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path
    assert set(re.findall(r"^\| (S\d+) ", text, re.MULTILINE)) == {f"S{i}" for i in range(1, 26)}


def test_exit_codes_are_a_list_and_no_commands():
    part = TEXTS["docs/cli.md"].partition("\n## ponder serve\n")[2].partition("\n## ")[0]
    assert "\n* 0 it was told to end\n" in part
    assert "the name of the model: MODEL@PRESET. Models on servers" in part
    assert "$ Exit codes" not in TEXTS["docs/cli.md"]
