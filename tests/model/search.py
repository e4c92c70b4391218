"""Search of the model: every state that can be reached, and the first violation of a promise."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from tests.model.attempts import steps, successors
from tests.model.world import Attempt, Rules, State, arrivals, start

#: Runs of the healthy attempt, and its steps, after which a document counts as stuck.
MAX_RUNS, MAX_STEPS = 6, 40


class Found(NamedTuple):
    """What a search has found. violation: "" if there is none; trace: the shortest way to it."""

    states: int
    steps: int
    violation: str = ""
    trace: tuple[str, ...] = ()


def search(rules: Rules, attempts: int) -> Found:
    """Visit every state of so many attempts, breadth first, until a promise is broken."""
    first = start(rules, attempts)
    came_from: dict[State, tuple[State, str] | None] = {first: None}
    ends: dict[State, str] = {}
    waiting = deque([first])
    made = 0
    while waiting:
        state = waiting.popleft()
        shared = state._replace(attempts=())
        if shared not in ends:
            ends[shared] = _broken(state, rules) or _ended(shared, rules, attempts)
        if ends[shared]:
            return Found(len(came_from), made, ends[shared], _trace(state, came_from))
        for step, after in successors(state, rules):
            made += 1
            if after not in came_from:
                came_from[after] = (state, step)
                waiting.append(after)
    return Found(len(came_from), made)


def _broken(state: State, rules: Rules) -> str:
    """What is wrong in a state already."""
    documents, sidecars = arrivals(state.files), arrivals(state.sidecars)
    if documents > 1:
        return "twice"
    if state.told and documents == 0 and not _excused(state, rules):
        return "told and not delivered"
    if sidecars > 1 and not rules.vanishes:
        return "sidecar twice"
    if rules.sidecar and documents and not sidecars and not _excused(state, rules):
        return "document before its sidecar"
    return ""


def _ended(shared: State, rules: Rules, attempts: int) -> str:
    """What is wrong after one healthy attempt that is not disturbed, from a state on."""
    state = shared._replace(attempts=(Attempt("end"),) * attempts + (Attempt(),))
    calm = rules._replace(refuses=False, stale=False, undoes=False)
    for _ in range(MAX_RUNS):
        for _ in range(MAX_STEPS):
            after = next(steps(state, attempts, calm), None)
            if after is None:
                break
            state = after[1]
        if state.told:
            break
        state = state._replace(attempts=(*state.attempts[:-1], Attempt()))
    documents, sidecars = arrivals(state.files), arrivals(state.sidecars)
    if documents > 1:
        return "twice"
    if documents == 0:
        if _excused(state, rules):
            return ""
        return "lost" if state.row.state == "d" or state.told else "stuck"
    if rules.sidecar and sidecars == 0 and not _excused(state, rules):
        return "sidecar lost"
    return "" if state.told and state.row.state == "d" else "not told"


def _excused(state: State, rules: Rules) -> bool:
    """An antivirus and a takeover of the same document at once can't be told from a delivery."""
    return rules.claims and state.vanished and state.row.claimed


def _trace(state: State, came_from: dict[State, tuple[State, str] | None]) -> tuple[str, ...]:
    trace: list[str] = []
    while (before := came_from[state]) is not None:
        state, step = before
        trace.append(step)
    return tuple(reversed(trace))
