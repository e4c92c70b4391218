"""A file that another program holds is waited for, two seconds and no longer."""

from __future__ import annotations

import errno
from io import BytesIO
from pathlib import Path

import pytest

from pipeline import durable
from pipeline.held import HELD, PAUSES, is_held, when_released
from tests.helpers.holding import held
from tests.helpers.systems import posix_only


class Busy:
    """Fails so many times, then works; the pauses in between are noted."""

    def __init__(self, times: int, error: OSError) -> None:
        self.times = times
        self.error = error
        self.pauses: list[float] = []

    def __call__(self) -> str:
        if self.times:
            self.times -= 1
            raise self.error
        return "done"


@pytest.mark.parametrize("code", sorted(HELD))
@pytest.mark.parametrize("times", [0, 1, len(PAUSES)])
def test_it_is_tried_again_until_the_file_is_free(times: int, code: int) -> None:
    busy = Busy(times, held(code))
    assert when_released(busy, busy.pauses.append) == "done"
    assert busy.pauses == list(PAUSES[:times])


def test_after_two_seconds_it_fails() -> None:
    busy = Busy(100, held())
    with pytest.raises(PermissionError):
        when_released(busy, busy.pauses.append)
    assert sum(busy.pauses) == pytest.approx(2)


@pytest.mark.parametrize(
    "number",
    [errno.EROFS, pytest.param(errno.EACCES, marks=posix_only("the file may be held"))],
)
def test_another_error_is_not_waited_for(number: int) -> None:
    busy = Busy(1, OSError(number, "denied"))
    assert not is_held(busy.error)
    with pytest.raises(OSError, match="denied"):
        when_released(busy, busy.pauses.append)
    assert busy.pauses == []


def test_a_file_that_is_held_is_replaced_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = Busy(2, held())
    real = Path.replace

    def replace(source: Path, target: Path) -> Path:
        busy()
        return real(source, target)

    monkeypatch.setattr(Path, "replace", replace)
    durable.replace_file(tmp_path / "token", BytesIO(b"new"))
    assert (tmp_path / "token").read_bytes() == b"new"
    assert not busy.times
