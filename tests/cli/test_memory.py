"""`--memory` on the command line, with a real model: what it recalls is in the trace and in the prompt."""

import pytest

from ponder.store import RunFile

FACTS = (
    "The Torvel pump is made in the works at Halden. One Torvel pump weighs 12 kilograms.",
    "The Orrin lamp burns oil. With a full tank one Orrin lamp burns for 26 hours.",
)
COAT = "coat:K=1,branch=1,recall=1,summarise=false,temperature=0,step_tokens=40"


@pytest.fixture
def notes(ponder):
    folder = ponder.folder / "notes"
    folder.mkdir()
    (folder / "things.md").write_text("\n\n".join(FACTS), "utf-8")
    return folder


@pytest.mark.model
def test_a_small_model_answers_from_the_notes(ponder, model, notes):
    question = "How many hours does an Orrin lamp burn with a full tank?"
    told = ponder("solve", question, "-m", model, "-s", COAT, "--memory", "notes", "-q")
    assert (told.returncode, told.stdout) == (0, "26\n"), told.stderr
    [run] = (ponder.home / "runs").glob("*.sqlite")
    with RunFile.open(run) as file:
        recalled = [e for a in file.attempts() for e in file.events(a.id) if e.kind == "recalled"]
    assert recalled[0].texts == (FACTS[1],)
    assert recalled[0].memory == "bm25"
    without = ponder("solve", question, "-m", model, "-s", COAT.replace("recall=1", "recall=0"), "-q")
    assert without.stdout != "26\n", "it cannot know"


def test_a_memory_that_is_not_there_or_not_asked_is_named(ponder, notes):
    nowhere = ponder("solve", "What is 2 + 3?", "-s", COAT, "--memory", "nowhere")
    assert nowhere.returncode == 2
    assert "no file or folder nowhere" in nowhere.stderr
    unasked = ponder("solve", "What is 2 + 3?", "-s", "direct", "--memory", "notes")
    assert unasked.returncode == 2
    assert "never asks it" in unasked.stderr
    ungiven = ponder("solve", "What is 2 + 3?", "-s", COAT)
    assert ungiven.returncode == 2
    assert "--memory" in ungiven.stderr
