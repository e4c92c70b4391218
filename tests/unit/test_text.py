"""What comes from outside is made fit to be shown once, where an error is made."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import pipeline
import stages
from pipeline.errors import ConfigurationError, Rejected, RetryableError, SynqupError
from pipeline.source import Entry
from pipeline.text import enumerated, first_few, printable, truncated

#: ESC and BEL, a C1 control, marks that turn text round, ends of lines, half a character.
SIGNS = "\x1b[2J\x07\x9b31m\u202e\u2066\u200f\r\n\u2028\ud800\0"


def test_signs_that_are_not_printed_become_spaces() -> None:
    assert printable("Café Ωμέγα 発票 €5") == "Café Ωμέγα 発票 €5"
    cleaned = printable(f"a{SIGNS}b")
    assert len(cleaned) == len(SIGNS) + 2
    assert cleaned.replace(" ", "") == "a[2J31mb"
    cleaned.encode()


@pytest.mark.parametrize("kind", [SynqupError, RetryableError, Rejected])
def test_every_part_of_an_error_is_clean_and_of_a_size_that_is_read(kind: type) -> None:
    error = kind(f"doc {SIGNS}", f"why {SIGNS}" * 1_000_000, f"do {SIGNS}" * 10_000)
    for text in (error.subject, error.reason, error.remedy, str(error), *error.args):
        assert text.isprintable()
        assert len(text) < 7000
    assert "more characters" in error.reason


def test_problems_of_a_file_keep_their_lines_and_are_counted() -> None:
    error = ConfigurationError("x.toml", [f"key {n}: {SIGNS}" for n in range(5000)])
    lines = str(error).split("\n")
    assert all(line.isprintable() for line in lines)
    assert len(error.problems) == 101
    assert error.problems[-1] == "and 4,900 more"


def test_a_label_of_a_list_is_clean() -> None:
    entry = Entry("1", "", f"purchase invoice {SIGNS}" + "9" * 10_000, None)
    assert entry.label.isprintable()
    assert len(entry.label) < 400
    assert Entry("1", "", "purchase invoice 7", None).label == "purchase invoice 7"


def test_the_first_few_are_named_and_the_rest_is_counted() -> None:
    numbers = [str(number) for number in range(20_000)]
    assert enumerated(numbers) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 19,990 more"
    assert enumerated(numbers[:3]) == "0, 1, 2"
    assert enumerated([]) == ""
    assert first_few(numbers, 2) == ["0", "1", "and 19,998 more"]
    assert len(enumerated(["9" * 1_000_000] * 100)) < 2000
    assert truncated("abcdef", 4) == "abcd ... and 2 more characters"


def test_every_error_has_a_reason_that_no_optimisation_takes_away() -> None:
    for package in (pipeline, stages):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            try:
                importlib.import_module(module.name)
            except ImportError as error:
                if error.name is not None:  # else it is one that says it is for another system
                    raise

    def below(kind: type[SynqupError]) -> list[type[SynqupError]]:
        return [kind, *(one for child in kind.__subclasses__() for one in below(child))]

    without = [
        kind.__qualname__
        for kind in below(SynqupError)
        if kind.__module__.startswith(("pipeline.", "stages.")) and "reason" not in vars(kind)
    ]
    assert without == []
