"""What a test needs of the operating system, and why it is skipped on another."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

#: Whether the tests run with CPython for Windows under Wine; tests/windows/run says so.
UNDER_WINE = bool(os.environ.get("SYNQUP_UNDER_WINE"))


def posix_only(why: str) -> pytest.MarkDecorator:
    """A test that is skipped on Windows. why: what is otherwise there."""
    return pytest.mark.skipif(os.name == "nt", reason=f"on Windows {why}")


def windows_only(why: str) -> pytest.MarkDecorator:
    """A test that is skipped but on Windows. why: what is otherwise elsewhere."""
    return pytest.mark.skipif(sys.platform != "win32", reason=f"elsewhere {why}")


def not_under_wine(why: str) -> pytest.MarkDecorator:
    """A test that runs on Windows itself, yet not under Wine. why: what Wine lacks."""
    return pytest.mark.skipif(UNDER_WINE, reason=f"Wine {why}")


def is_private(path: Path) -> bool:
    """Whether only the owner may read or write a file; Windows has no such mode to look at."""
    return os.name == "nt" or path.stat().st_mode & 0o777 == 0o600


def reason_of_absence(folder: Path) -> str:
    """What the system says of a file that is not there."""
    try:
        (folder / "absent").stat()
    except OSError as error:
        return error.strerror
    raise AssertionError
