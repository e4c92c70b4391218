"""How long things are kept: settings with floors, and careful defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.settings import GOOD, load, problems

DAY = 86_400


def service(text: str) -> str:
    return GOOD.replace("[service]\n", f"[service]\n{text}\n")


def test_all_but_the_log_is_kept_for_ever_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    usual = load(tmp_path, GOOD).service
    assert (usual.keep_quarantine, usual.keep_ledger) == (None, None)
    assert (usual.keep_log, usual.max_log_size, usual.log_level) == (30 * DAY, 200_000_000, "info")
    said = service(
        'keep_log = "90d"\nkeep_quarantine = "7 d"\nkeep_ledger = 31536000\n'
        'max_log_size = "1 MB"\nlog_level = "debug"'
    )
    found = load(tmp_path, said).service
    assert (found.keep_log, found.keep_quarantine, found.keep_ledger) == (
        *(90 * DAY, 7 * DAY, 365 * DAY),
    )
    assert (found.max_log_size, found.log_level) == (1_000_000, "debug")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('keep_log = "23h"', "service.keep_log: less than 1 d"),
        ('keep_quarantine = "6d"', 'service.keep_quarantine: less than 7 d; write "7d" or more'),
        ('keep_ledger = "29d"', "service.keep_ledger: less than 30 d"),
        ("keep_ledger = 0", "service.keep_ledger: less than 30 d"),
        ('keep_ledger = "for ever"', 'service.keep_ledger: "for ever" is not a duration'),
        ('max_log_size = "900 kB"', "service.max_log_size: less than a megabyte"),
        ('log_level = "loud"', 'service.log_level: "loud" is none of "debug", "info"'),
    ],
)
def test_what_would_keep_too_little_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (problem,) = problems(tmp_path, service(text))
    assert problem.startswith(said)
