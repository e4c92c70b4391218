"""Exhaustive model: several processes deliver one document through one ledger and one folder.

Every state is visited of K attempts at one document that go on in any order. A step is one system
call or one statement. Each statement may be answered; or be applied with its answer lost, or not be
applied, and then is sent again. An attempt that makes no more steps is dead, and one that makes its
next step late is a zombie. An importer may take a file at once, or not. From every state one
healthy attempt has to bring the document to its end.

test_attempts.py proves that the design keeps every promise, and that each naive variant breaks one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.model.world import (
    ASIDE,
    IN_STAGING,
    LINKED,
    LINKED_AGAIN,
    LINKED_TAKEN,
    NOWHERE,
    STAGED,
    TAKEN,
    VISIBLE,
    Attempt,
    Row,
    Rules,
    State,
    applied,
)


def successors(state: State, rules: Rules) -> Iterator[tuple[str, State]]:
    """Every step that can be made in a state, with its name."""
    for index in range(len(state.attempts)):
        for step, after in steps(state, index, rules):
            yield f"{index}: {step}", after
    yield from _surroundings(state, rules)


def steps(state: State, index: int, rules: Rules) -> Iterator[tuple[str, State]]:
    """The outcomes of the next step of an attempt; the first is that of a healthy one."""
    attempt = state.attempts[index]
    for after, new in _STEPS[attempt.step](state, index, attempt, rules):
        yield attempt.step, _with(after, index, new)


Outcome = Iterator[tuple[State, Attempt]]


def _with(state: State, index: int, attempt: Attempt) -> State:
    if attempt.step == "end":
        attempt = Attempt("end")
    attempts = (*state.attempts[:index], attempt, *state.attempts[index + 1 :])
    return state._replace(attempts=attempts)


def _ledger(
    state: State, attempt: Attempt, rules: Rules, statement: str, then: Callable[[Row], Attempt]
) -> Outcome:
    """A statement: answered; applied and not answered; or sent, to be applied after the next."""
    after = applied(state, statement, attempt.file, rules)
    yield after, then(after.row)
    doubt = attempt._replace(step="clean") if rules.cleans_in_doubt else attempt
    yield after, doubt
    if rules.overtakes and (statement, attempt.file) not in state.pending:
        yield state._replace(pending=state.pending | {(statement, attempt.file)}), attempt


def _read(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    row = state.row
    if row.state == "d":
        yield state, Attempt("end" if state.told else "tell")
    elif row.state == "s" and not rules.replaces:
        yield state, Attempt("claim" if rules.claims else "first", row.file, row.number)
    else:
        yield state, Attempt("write", index if rules.own_names else 0)


def _write(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    new = _put(state, attempt.file, "files", STAGED)
    if rules.sidecar:
        new = _put(new, attempt.file, "sidecars", STAGED)
    yield new, attempt._replace(step="stage")


def _stage(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    def then(row: Row) -> Attempt:
        if row.state == "s" and row.file == attempt.file:
            return attempt._replace(step="first", number=row.number, mine=True)
        return attempt._replace(step="clean")

    if not rules.own_names and state.row.state != "w":
        yield state, attempt._replace(step="clean")
        return
    yield from _ledger(state, attempt, rules, "stage", then)


def _claim(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    def then(row: Row) -> Attempt:
        is_staged = row.state == "s" and row.file == attempt.file
        return attempt._replace(step="first", number=row.number) if is_staged else Attempt("end")

    yield from _ledger(state, attempt, rules, "claim", then)


def _first(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    """Rename the sidecar, which goes first."""
    if not rules.sidecar:
        yield state, attempt._replace(step="rename")
        return
    yield from _rename(state, attempt, rules, "sidecars", "rename", "look first")


def _main(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    """Rename the document."""
    yield from _rename(state, attempt, rules, "files", "deliver", "look")


def _rename(
    state: State, attempt: Attempt, rules: Rules, kind: str, then: str, missing: str
) -> Outcome:
    place = getattr(state, kind)[attempt.file]
    if place not in IN_STAGING:
        yield state, attempt._replace(step=missing)
        return
    if kind == "files" and state.occupied == attempt.number:
        step = "restore" if rules.restores and attempt.moved else "next name"
        yield state, attempt._replace(step=step)
        return
    moved = attempt.moved or kind == "sidecars"
    if rules.links and kind == "files":
        linked = {STAGED: LINKED, LINKED: LINKED, LINKED_TAKEN: LINKED_AGAIN}[place]
        yield _put(state, attempt.file, kind, linked), attempt._replace(step="unlink")
    else:
        yield _put(state, attempt.file, kind, VISIBLE), attempt._replace(step=then, moved=moved)
    if rules.refuses:
        back = attempt.mine or not rules.only_who_staged
        yield state, attempt._replace(step="aside first" if back else "end")
    if rules.stale and not attempt.mine:
        yield state, attempt._replace(step=missing)


def _unlink(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    place = {LINKED: VISIBLE, LINKED_TAKEN: TAKEN, STAGED: NOWHERE}
    before = state.files[attempt.file]
    yield (
        _put(state, attempt.file, "files", place.get(before, before)),
        attempt._replace(step="deliver"),
    )


def _restore(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    new = state
    if state.sidecars[attempt.file] == VISIBLE:
        new = _put(state, attempt.file, "sidecars", STAGED)
    yield new, attempt._replace(step="next name", moved=False)


def _next_name(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    def then(row: Row) -> Attempt:
        if row.state == "s" and row.file == attempt.file:
            return attempt._replace(step="first", number=row.number)
        return Attempt("end")

    wanted = f"rename to {attempt.number + 1}"
    yield from _ledger(state, attempt, rules, wanted, then)


def _look_first(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    """The sidecar is not there: it is put aside, or has become visible."""
    if rules.looks_aside and state.sidecars[attempt.file] == ASIDE:
        yield state, attempt._replace(step="aside first")
    else:
        is_unexplained = attempt.mine and not attempt.moved
        yield state, attempt._replace(step="gone" if is_unexplained else "rename")


def _look(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    """The document is not there: it is put aside, has become visible, or was removed."""
    if rules.looks_aside and state.files[attempt.file] == ASIDE:
        yield state, attempt._replace(step="aside first")
    elif rules.writes_again:
        yield state, attempt._replace(step="unstage")
    else:
        yield state, attempt._replace(step="gone" if attempt.mine else "deliver")


def _gone(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    """Who staged it and finds it gone, and nobody has claimed it: it was removed."""

    def then(row: Row) -> Attempt:
        is_still = row.state == "s" and row.file == attempt.file
        return attempt._replace(step="end" if is_still else "clean")

    yield from _ledger(state, attempt, rules, "gone", then)


def _aside_first(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    """Take back: the file that goes first decides. Where it is visible, nothing is taken back."""
    if not rules.aside:
        yield state, attempt._replace(step="unstage")
        return
    place = state.sidecars[attempt.file]
    if not rules.sidecar or not rules.first_of_all or place == ASIDE:
        yield state, attempt._replace(step="aside")
    elif place == STAGED:
        yield _put(state, attempt.file, "sidecars", ASIDE), attempt._replace(step="aside")
    else:
        yield state, Attempt("end")


def _aside(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    place = state.files[attempt.file]
    if place == STAGED:
        yield _put(state, attempt.file, "files", ASIDE), attempt._replace(step="unstage")
    elif place == ASIDE or (rules.sidecar and rules.first_of_all):
        # Where a sidecar is put aside, the document never was visible: if missing, it was removed.
        yield state, attempt._replace(step="unstage")
    else:
        yield state, Attempt("end")


def _unstage(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    if rules.undoes:
        yield _put(state, attempt.file, "files", STAGED), Attempt("end")
    clean = attempt._replace(step="clean")
    yield from _ledger(state, attempt, rules, "unstage", lambda _: clean)


def _clean(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    """Remove what is not needed: the document, aside or not, and its sidecar."""
    new = state
    if state.files[attempt.file] in (STAGED, ASIDE):
        new = _put(new, attempt.file, "files", NOWHERE)
    yield new, attempt._replace(step="clean first")


def _clean_first(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    new = state
    if state.sidecars[attempt.file] in (STAGED, ASIDE):
        new = _put(new, attempt.file, "sidecars", NOWHERE)
    yield new, Attempt("end")


def _deliver(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    def then(row: Row) -> Attempt:
        return Attempt("tell" if row.state == "d" else "end")

    yield from _ledger(state, attempt, rules, "deliver", then)


def _tell(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    yield state._replace(told=True), Attempt("end")


def _list(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    """The sweeper reads the rows; with a fence, nothing of the first attempt is staged any more."""
    named = frozenset({state.row.file} if state.row.state == "s" else ())
    fenced = state._replace(fenced=rules.sweeps == "fenced")
    yield fenced, attempt._replace(step="sweep", seen=named)


def _sweep(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    """Remove what the first attempt has left, but for what the rows named."""
    new = state
    if 0 not in attempt.seen and state.files[0] in (STAGED, ASIDE):
        new = _put(new, 0, "files", NOWHERE)
    if 0 not in attempt.seen:
        new = _put(new, 0, "sidecars", NOWHERE)
    yield new, Attempt("read")


def _end(state: State, index: int, attempt: Attempt, rules: Rules) -> Outcome:
    yield from ()


def _put(state: State, file: int, kind: str, place: str) -> State:
    before = getattr(state, kind)
    if kind == "sidecars" and place == NOWHERE and before[file] not in (STAGED, ASIDE):
        return state
    return state._replace(**{kind: (*before[:file], place, *before[file + 1 :])})


def _surroundings(state: State, rules: Rules) -> Iterator[tuple[str, State]]:
    """What others do: the server, the importer, a program that takes the name, an antivirus."""
    for statement, file in state.pending:
        left = state.pending - {(statement, file)}
        late = applied(state, statement, file, rules)._replace(pending=left)
        yield f"late: {statement}", late
    for kind in ("files", "sidecars"):
        for file, place in enumerate(getattr(state, kind)):
            if place in (VISIBLE, LINKED):
                taken = TAKEN if place == VISIBLE else LINKED_TAKEN
                yield "importer", _put(state, file, kind, taken)
    if rules.occupied and not state.occupied:
        yield "name taken", state._replace(occupied=1)
    elif rules.occupied and state.occupied == 1:
        yield "name free", state._replace(occupied=-1)
    if rules.vanishes and not state.vanished:
        yield from _antivirus(state)


def _antivirus(state: State) -> Iterator[tuple[str, State]]:
    for kind in ("files", "sidecars"):
        for file, place in enumerate(getattr(state, kind)):
            if place == STAGED:
                gone = _put(state, file, kind, NOWHERE)
                yield "antivirus", gone._replace(vanished=True)


_STEPS: dict[str, Callable[[State, int, Attempt, Rules], Outcome]] = {
    "read": _read,
    "write": _write,
    "stage": _stage,
    "claim": _claim,
    "first": _first,
    "look first": _look_first,
    "rename": _main,
    "look": _look,
    "unlink": _unlink,
    "restore": _restore,
    "next name": _next_name,
    "gone": _gone,
    "aside first": _aside_first,
    "aside": _aside,
    "unstage": _unstage,
    "clean": _clean,
    "clean first": _clean_first,
    "deliver": _deliver,
    "tell": _tell,
    "list": _list,
    "sweep": _sweep,
    "end": _end,
}
