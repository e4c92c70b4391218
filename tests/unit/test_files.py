"""Of files that the user names only a regular one of a sane size is read, without waiting."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.app.wiring import load_config
from pipeline.errors import ConfigurationError
from stages.classify import classify_file
from stages.sandbox import read_faults
from tests.helpers.documents import CONFIG, configured
from tests.helpers.systems import posix_only

pytestmark = [posix_only("devices and pipes have no names in folders"), pytest.mark.timeout(60)]


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2_000_000_000)


#: What stands in place of a file, and what is said of it.
OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (getattr(os, "mkfifo", Path.touch), "it is a pipe, not a file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    "folder": (Path.mkdir, "it is a folder, not a file"),
    "huge": (huge, "it has more than "),
    "loop": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    "nothing": (lambda path: None, "No such file or directory"),
}
others = pytest.mark.parametrize(("put", "said"), OTHERS.values(), ids=OTHERS)


@others
def test_a_configuration(tmp_path: Path, put: Callable[[Path], object], said: str) -> None:
    put(tmp_path / "synqup.toml")
    with pytest.raises(ConfigurationError, match=f"it can't be read: {said}"):
        load_config(tmp_path / "synqup.toml")


@others
def test_a_certificate(tmp_path: Path, put: Callable[[Path], object], said: str) -> None:
    put(tmp_path / "ca.pem")
    text = CONFIG.replace("DELIVERY", "").replace("URL", "http://127.0.0.1:9")
    config = tmp_path / "synqup.toml"
    config.write_text(text.replace("attempts = 2", 'ca_file = "ca.pem"'))
    with pytest.raises(ConfigurationError, match=f"ca.pem can't be read \\({said}"):
        load_config(config)


@others
def test_a_document(tmp_path: Path, put: Callable[[Path], object], said: str) -> None:
    put(tmp_path / "document")
    assert said in classify_file(tmp_path / "document", "BE0403170701").reason


@others
def test_a_script_of_faults(tmp_path: Path, put: Callable[[Path], object], said: str) -> None:
    put(tmp_path / "faults.toml")
    with pytest.raises(ConfigurationError, match=f"--faults: {said}"):
        read_faults(tmp_path / "faults.toml")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are of Unicode")
def test_a_folder_whose_name_is_of_no_letters(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    with pytest.raises(ConfigurationError, match="the name of its folder is not UTF-8") as caught:
        configured(folder)
    str(caught.value).encode()
