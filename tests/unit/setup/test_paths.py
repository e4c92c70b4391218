"""The folders of all companies are measured as Windows counts them."""

from __future__ import annotations

from pathlib import Path

from stages.setup.paths import Longest, company_paths, length_of, longest_of
from tests.helpers.settings import GOOD, SECOND, load


def test_the_longest_folder_is_found(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD + SECOND.replace("Garage Dupont", "Garage Dupont et Fils"))
    paths = company_paths(config)
    assert [one.name for one in paths] == ["Bakkerij Peeters", "Garage Dupont et Fils"]
    longest = longest_of(config, paths, 259)
    assert longest.folder == tmp_path / "out/Garage Dupont et Fils_BE0428759497/achats"
    assert longest.length == len(str(longest.folder))
    assert longest.total == longest.length + 1 + longest.name


def test_signs_beyond_the_first_plane_count_twice() -> None:
    assert length_of(Path("/é")) == 2
    assert length_of(Path("/🏠")) == 3


def test_what_is_too_long_and_what_is_tight() -> None:
    def longest(length: int) -> Longest:
        return Longest(Path("x"), length, 79, 259)

    assert not longest(179).is_tight
    assert longest(180).is_tight
    assert not longest(238).is_too_long
    assert longest(239).is_too_long
