"""A study out of a run file: what was measured, as values. Reading needs no model and changes nothing."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ponder.core import events as e
from ponder.core.calls import Usage
from ponder.core.problem import Message, Problem
from ponder.evals.attacks.about import tried
from ponder.evals.attacks.red_teaming import ATTACKER
from ponder.evals.chosen import chosen, loops, switches
from ponder.evals.values import Arm, Item, Outcome, Study, Try
from ponder.thinking.prompts.red_teaming import unwilling

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ponder.store import AttemptRow, RunFile

SIMULATED = "simulated"


def item_body(item: Item) -> dict[str, Any]:
    """An item as JSON values, for the run file."""
    problem = item.problem
    return {
        "messages": [[m.role, m.content, dict(m.extra)] for m in problem.messages],
        "kind": problem.kind,
        "choices": problem.choices,
        "gold": item.gold,
        "task": item.task,
        "family": item.family,
        "level": item.level,
        "grader": item.grader,
        "meta": dict(item.meta),
    }


def item_of(name: str, body: Mapping[str, Any]) -> Item:
    """What `item_body` made of an item."""
    messages = tuple(
        Message(role, content if isinstance(content, str) else tuple(content), extra)
        for role, content, extra in body["messages"]
    )
    return Item(
        Problem(name, messages, body["kind"], body["choices"]),
        body["gold"],
        body["task"],
        body["family"],
        body["level"],
        body["grader"],
        body["meta"],
    )


def finished(run: RunFile) -> frozenset[tuple[str, str, str, int]]:
    """The names of the jobs that are complete: ended otherwise than in an error, and graded."""
    return run.finished()


def study(run: RunFile) -> Study:
    """All that a run file holds of an evaluation.

    Where a job was attempted again after an error, its last attempt counts, and what broke before is counted in
    `Outcome.failed`. Of the rounds of a total budget the last at each problem counts, which holds those before.

    Raises:
        StoreError: the file is damaged.

    """
    about, grades = run.meta(), run.grades()
    items = {name: item_of(name, body) for name, body in run.items().items()}
    attempts = run.attempts()
    latest: dict[tuple[Arm, str, int], list[AttemptRow]] = defaultdict(list)
    for row in attempts:
        if row.status == "finished":
            latest[_arm(row), row.problem, row.seed].append(row)
    outcomes, samples = [], {}
    widest: dict[str, int] = defaultdict(int)
    for rows in latest.values():
        row = rows[-1]
        events = run.events(row.id, (e.Extended, e.Answered, e.Failed, e.Finished))
        graded = grades.get(row.id, {})
        broke = sum(other.stop == "failed" for other in rows[:-1])
        game = row.problem in items and tried(items[row.problem])
        tries = _tries(events, graded) if game else ()
        outcomes.append(_outcome(row, events, graded, tries, broke=broke))
        drawn = () if game else _samples(events, graded)
        if row.seed == min(about["evaluation"]["seeds"]) and len(drawn) > widest[row.problem]:
            widest[row.problem] = len(drawn)
            samples[row.problem] = drawn
    models = {name for row in attempts for name in row.models.values()}
    return Study(
        name=run.id,
        command=about["command"],
        model=", ".join(sorted(models)),
        simulated=any(name.startswith(SIMULATED) for name in models),
        versions=about["versions"],
        seeds=about["evaluation"]["seeds"],
        items=items,
        outcomes=outcomes,
        generated=run.generated(),
        samples=samples,
        complaints=about["evaluation"].get("complaints", ()),
    )


def _outcome(
    row: AttemptRow,
    events: Sequence[e.Event],
    graded: Mapping[str, bool | None],
    tries: tuple[Try, ...],
    *,
    broke: int,
) -> Outcome:
    extended = {event.place: event for event in events if isinstance(event, e.Extended)}
    end = next((event for event in events if isinstance(event, e.Finished)), None)
    lost = [event.error for event in events if isinstance(event, e.Failed) and not event.cancelled]
    failed = row.stop == "failed"
    chains = [_chain(place, extended) for place in extended]
    candidates = [_chain(place, extended).completion for place in _places(events)]
    text, _, written = chosen(events)
    return Outcome(
        arm=_arm(row),
        item=row.problem,
        seed=row.seed,
        answer=row.answer,
        correct=None if failed else graded.get(""),
        usage=row.usage or Usage(),
        # Not the clock's: samples come from the pool, and what else ran beside is no cost of this attempt's.
        seconds=max((chain.seconds for chain in chains), default=0.0),
        stop=row.stop or "",
        error=(lost[-1] if lost else "the attempt broke") if failed else "",
        failed=(row.failed or 0) + broke,
        depth=max((chain.completion for chain in chains), default=0),
        length=sum(candidates) / len(candidates) if candidates else 0.0,
        thinking=_chain(extended[end.path].parent, extended).completion
        if end and end.path in extended
        else None,
        switches=switches(text, written) if text else None,
        looped=loops(events),
        votes=end.votes if end else (),
        attempt=str(row.id),
        tries=tries,
    )


def _arm(row: AttemptRow) -> Arm:
    """The arm that an attempt belongs to; a round of a total budget names it."""
    strategy, budget = row.labels.get("part") or (row.strategy, row.budget)
    return Arm(strategy, budget, bool(row.labels.get("oracle")))


def _chain(place: str, extended: Mapping[str, e.Extended]) -> Usage:
    """What was spent on the way to a place: calls that had to wait for each other."""
    spent = Usage()
    while (event := extended.get(place)) is not None:
        spent += event.usage
        place = event.parent
    return spent


def _places(events: Iterable[e.Event]) -> list[str]:
    """The places of the paths whose answers were read, in order, each once."""
    read = (place for event in events if isinstance(event, e.Answered) for place, _, _ in event.answers)
    return list(dict.fromkeys(read))


def _samples(
    events: Sequence[e.Event], graded: Mapping[str, bool | None]
) -> tuple[tuple[str, int, bool], ...]:
    """(key, tokens, right) of each graded path of an attempt, in order of index."""
    extended = {event.place: event for event in events if isinstance(event, e.Extended)}
    keys = {
        place: key or ""
        for event in events
        if isinstance(event, e.Answered)
        for place, _, key in event.answers
    }
    places = [place for place in _places(events) if graded.get(place) is not None]
    return tuple((keys[place], _chain(place, extended).completion, bool(graded[place])) for place in places)


def _tries(events: Sequence[e.Event], graded: Mapping[str, bool | None]) -> tuple[Try, ...]:
    """The attempts of a red team, by the places of what was graded: an attempt is what was called since the last one."""
    extended = {event.place: event for event in events if isinstance(event, e.Extended)}
    answers = {
        place: answer
        for event in events
        if isinstance(event, e.Answered)
        for place, answer, _ in event.answers
    }
    tries, before = [], -1
    for place in sorted((place for place in graded if place in extended), key=_turn):
        calls = [event for event in extended.values() if before < _turn(event.place) <= _turn(place)]
        wrote = sum(event.usage.completion for event in calls if event.role == ATTACKER)
        last = extended[place]
        why = unwilling(last.text, last.finish) if last.role == ATTACKER else None
        tokens = sum(event.usage.completion for event in calls) - wrote
        tries.append(Try(answers.get(place), graded[place], tokens, wrote, why or ""))
        before = _turn(place)
    return tuple(tries)


def _turn(place: str) -> int:
    """Which call of a strategy's own a place lies in."""
    return int(place.partition(".")[0])
