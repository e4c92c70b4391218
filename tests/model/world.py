"""What several attempts at one document change: its row, its files, and what each has seen."""

from __future__ import annotations

from typing import NamedTuple

#: Where a file is: nowhere, in the staging folder, put aside there, in its folder, taken by the
#: importer; of a hard link: in the staging folder and in its folder, or taken.
NOWHERE, STAGED, ASIDE, VISIBLE, TAKEN, LINKED, LINKED_TAKEN, LINKED_AGAIN = "-savxlmn"
IN_STAGING = (STAGED, LINKED, LINKED_TAKEN)


class Rules(NamedTuple):
    """What may happen to the attempts, and what they do: the default of each is the design.

    What may happen. sidecar: the document has one, which gets its name first. refuses: the folder
    may refuse for good. occupied: another program may take the first name, and free it. vanishes:
    an antivirus may remove a temporary file. sweeps: the second attempt first removes what the
    first one has left: "fenced" (nothing of the first can be staged any more) or "naive".

    The design. own_names: each attempt has a temporary name of its own. aside: what is taken back
    is put aside before the row changes; looks_aside: who misses a file looks there.
    only_who_staged: nobody else begins to take back. claims: who resumes another's row says so in
    it first, so that who staged it can tell whether its file was removed. first_of_all: the file
    that goes first is put aside first, and decides.

    Naive variants. replaces: a new attempt replaces a staged row. writes_again: a missing file is
    written again. cleans_in_doubt: no answer counts as a failure. restores: sidecars are renamed
    back. stale: "no such file" is believed where the folder is not the right one, or the answer an
    old one. links: a hard link, then unlink. undoes: what was put aside comes back. overtakes:
    a statement may be applied after it was sent again.
    """

    sidecar: bool = True
    refuses: bool = False
    occupied: bool = False
    vanishes: bool = False
    sweeps: str = ""
    own_names: bool = True
    aside: bool = True
    looks_aside: bool = True
    only_who_staged: bool = True
    claims: bool = True
    first_of_all: bool = True
    replaces: bool = False
    writes_again: bool = False
    cleans_in_doubt: bool = False
    restores: bool = False
    stale: bool = False
    links: bool = False
    undoes: bool = False
    overtakes: bool = False


class Row(NamedTuple):
    """The document's row: state (waiting, staged, delivered), temporary file, number of the name.

    claimed: a process that did not stage it has begun to resume it.
    """

    state: str = "w"
    file: int = -1
    number: int = 1
    claimed: bool = False


class Attempt(NamedTuple):
    """The next step of an attempt, and what it has seen. file, number: what it publishes."""

    step: str = "read"
    file: int = -1
    number: int = 1
    mine: bool = False
    seen: frozenset[int] = frozenset()
    moved: bool = False


class State(NamedTuple):
    """All that there is. files: of each attempt's document, and of its sidecar."""

    row: Row
    files: tuple[str, ...]
    sidecars: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    pending: frozenset[tuple[str, int]] = frozenset()
    told: bool = False
    occupied: int = 0
    vanished: bool = False
    fenced: bool = False


def start(rules: Rules, attempts: int) -> State:
    """The first state: the document is listed, and nothing was done. One slot is the healthy's."""
    nothing = (NOWHERE,) * (attempts + 1)
    first = Attempt("list" if rules.sweeps else "read")
    return State(Row(), nothing, nothing, (Attempt(), *(first,) * (attempts - 1)))


def arrivals(files: tuple[str, ...]) -> int:
    """How often a file has become visible."""
    once = (VISIBLE, TAKEN, LINKED, LINKED_TAKEN)
    return sum(2 if one == LINKED_AGAIN else one in once for one in files)


def applied(state: State, statement: str, file: int, rules: Rules) -> State:
    """What a statement of the ledger changes, about the temporary file that it names."""
    row, new = state.row, state.row
    is_own = row.state == "s" and row.file == file
    if statement == "stage":
        is_refused = state.fenced and file == 0
        if not is_refused and (row.state == "w" or (rules.replaces and row.state == "s")):
            new = Row("s", file)
    elif statement == "claim" and is_own:
        new = row._replace(claimed=True)
    elif statement == "unstage":
        if is_own or (not rules.aside and row.state == "s"):
            new = row._replace(state="w")
    elif statement == "gone":
        if is_own and not (rules.claims and row.claimed):
            new = row._replace(state="w")
    elif statement == "deliver" and is_own:
        new = row._replace(state="d")
    elif statement.startswith("rename to ") and is_own:
        number = int(statement.rpartition(" ")[2])
        new = row._replace(number=number)
    return state._replace(row=new)
