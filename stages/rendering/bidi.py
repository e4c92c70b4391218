"""Bidirectional text: the order in which the characters of a line are drawn, and Arabic shaping.

The implicit rules of the Unicode Bidirectional Algorithm (UAX #9: P2-P3, W1-W7, N1-N2, I1-I2, L1,
L2, L4); explicit marks have no effect, so a name can't turn around what stands beside it. Arabic
letters are drawn as the presentation forms of Unicode (UAX #44, decompositions).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import groupby

from msgspec import Struct

#: Letters that are written from right to left: Hebrew, Arabic, and others of their planes.
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff]")
_ARABIC = re.compile("[\u0600-\u077f]")
#: Marks on one letter past which the next letter is looked for.
_MARKS = 8
_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_NUMBERS = {"EN", "AN"}
_STRONG = {"L", "R", "AL"}


def is_right_to_left(text: str) -> bool:
    """Whether there are letters in it that are written from right to left."""
    return not text.isascii() and _RIGHT_TO_LEFT.search(text) is not None


class Run(Struct, frozen=True):
    """Characters that are drawn side by side, as they are drawn; before: those at their left."""

    text: str
    before: str


def runs(text: str) -> list[Run]:
    """Return a line in runs, in the order in which they are read.

    Readers of PDFs take runs in the order of the file, and turn around the letters of each that is
    written from right to left; what stands between words is therefore a run of its own.
    """
    if not is_right_to_left(text):
        return [Run(text, "")]
    text = shaped(text)
    types = [_type_of(one) for one in text]
    base = next((int(one != "L") for one in types if one in _STRONG), 0)
    levels = _levels(types, base)
    order = _visual_order(levels)
    drawn = [
        one.translate(_MIRRORED) if level % 2 else one
        for one, level in zip(text, levels, strict=True)
    ]
    line = "".join(drawn[at] for at in order)
    place = {at: position for position, at in enumerate(order)}
    found, start = [], 0
    kinds = [
        (level, is_right_to_left(one) or one == " ")
        for one, level in zip(text, levels, strict=True)
    ]
    for _, members in groupby(kinds):
        end = start + len(list(members))
        left = min(place[start], place[end - 1])
        found.append(Run(line[left : left + end - start], line[:left]))
        start = end
    return found


def visual(text: str) -> str:
    """Return a line as it is drawn, from left to right."""
    return max((one.before + one.text for one in runs(text)), key=len)


def _type_of(character: str) -> str:
    found = unicodedata.bidirectional(character) or "L"
    return (
        "BN" if found in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"} else found
    )


def _levels(types: list[str], base: int) -> list[int]:
    """Return the embedding level of each character. base: of the paragraph, 1 if right-to-left."""
    edge = "R" if base else "L"
    types = _weak(types, edge)
    resolved: list[str] = []
    runs = [(neutral, list(run)) for neutral, run in groupby(types, key=_is_neutral)]
    for number, (neutral, run) in enumerate(runs):
        if not neutral:  # N1, N2
            resolved += run
            continue
        before = _direction(resolved[-1]) if resolved else edge
        after = _direction(runs[number + 1][1][0]) if number + 1 < len(runs) else edge
        resolved += [before if before == after else edge] * len(run)
    if base:
        levels = [1 if one == "R" else 2 for one in resolved]  # I2
    else:
        levels = [0 if one == "L" else 1 if one == "R" else 2 for one in resolved]  # I1
    return levels


def _weak(types: list[str], edge: str) -> list[str]:
    """Resolve weak types (W1 to W7)."""
    found = list(types)
    before, strong = edge, edge
    for at, one in enumerate(types):
        kind = before if one in {"NSM", "BN"} else one  # W1
        if kind in _STRONG:
            strong = kind
        elif kind == "EN" and strong == "AL":  # W2
            kind = "AN"
        found[at] = before = kind
    found = ["R" if one == "AL" else one for one in found]  # W3
    for at in range(1, len(found) - 1):  # W4
        left, right = found[at - 1], found[at + 1]
        if left == right and (
            (found[at] == "ES" and left == "EN") or (found[at] == "CS" and left in _NUMBERS)
        ):
            found[at] = left
    _join_terminators(found)  # W5
    strong = edge
    for at, one in enumerate(found):
        if one in {"L", "R"}:
            strong = one
        elif one in {"ES", "ET", "CS"}:  # W6
            found[at] = "ON"
        elif one == "EN" and strong == "L":  # W7
            found[at] = "L"
    return found


def _join_terminators(found: list[str]) -> None:
    """Make signs beside a number a part of it, such as those of currencies (W5)."""
    start = 0
    for kind, run in groupby(list(found)):
        end = start + len(list(run))
        touches = (start and found[start - 1] == "EN") or (end < len(found) and found[end] == "EN")
        if kind == "ET" and touches:
            found[start:end] = ["EN"] * (end - start)
        start = end


def _is_neutral(kind: str) -> bool:
    return kind not in {"L", "R", "EN", "AN"}


def _direction(kind: str) -> str:
    return "L" if kind == "L" else "R"


def _visual_order(levels: list[int]) -> list[int]:
    """Return the places of the characters from left to right (L2)."""
    order = list(range(len(levels)))
    for level in range(max(levels), 0, -1):
        at = 0
        for is_part, run in groupby([one >= level for one in levels]):
            end = at + len(list(run))
            if is_part:
                order[at:end] = reversed(order[at:end])
            at = end
    return order


class _Forms(Struct, frozen=True):
    """The presentation forms of Arabic: by letter and form, and of lam with an alef."""

    single: dict[tuple[str, str], str]
    ligatures: dict[tuple[str, str], str]
    plain: dict[str, str]


@cache
def _forms() -> _Forms:
    found = _Forms({}, {}, {})
    for code in (*range(0xFB50, 0xFC00), *range(0xFE80, 0xFEFD)):
        form, *letters = unicodedata.decomposition(chr(code)).split() or [""]
        text = "".join(chr(int(one, 16)) for one in letters)
        if not text:
            continue
        found.plain[chr(code)] = text
        if len(text) == 1:
            found.single.setdefault((text, form.strip("<>")), chr(code))
        elif text[0] == "\u0644":
            found.ligatures[text, form.strip("<>")] = chr(code)
    return found


def plain(character: str) -> str:
    """Return the letters that a presentation form stands for; any other character as it is."""
    return _forms().plain.get(character, character) if character >= "\ufb50" else character


def shaped(text: str) -> str:
    """Return a text with Arabic letters in the forms that they have beside one another."""
    if _ARABIC.search(text) is None:
        return text
    forms = _forms()
    letters = _ligated(text)
    shown = []
    for at, letter in enumerate(letters):
        joins_before = _neighbour(letters, at, -1) and _has(letter, "final")
        joins_after = _neighbour(letters, at, 1) and _has(letter, "initial")
        form = ("isolated", "final", "initial", "medial")[joins_before + 2 * joins_after]
        table = forms.ligatures if len(letter) > 1 else forms.single
        shown.append(table.get((letter, form), letter))
    return "".join(shown)


def _ligated(text: str) -> list[str]:
    """Return the letters of a text, lam and the alef after it as one."""
    letters: list[str] = []
    for one in text:
        if (
            letters
            and ("\u0644" + one, "isolated") in _forms().ligatures
            and letters[-1] == "\u0644"
        ):
            letters[-1] += one
        else:
            letters.append(one)
    return letters


def _has(letter: str, form: str) -> bool:
    """Whether a letter has a form; that of an initial joins the letter after it."""
    if letter == "\u0640":  # the sign that makes joins longer
        return True
    forms = _forms()
    return (letter, form) in (forms.ligatures if len(letter) > 1 else forms.single)


def _neighbour(letters: list[str], at: int, step: int) -> bool:
    """Whether the next letter on one side, past marks that stand on letters, joins this one."""
    for _ in range(_MARKS):
        at += step
        if not 0 <= at < len(letters):
            return False
        if unicodedata.category(letters[at][0]) != "Mn":
            return _has(letters[at], "initial" if step < 0 else "final")
    return False
