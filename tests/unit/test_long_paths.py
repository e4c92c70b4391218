"""Windows is given a long path with a prefix, which nobody else sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.long_paths import MAX_FOLDER, extended, local_path

LONG = "\\".join(["a" * 60] * 5)


@pytest.mark.parametrize(
    ("path", "given"),
    [
        (rf"C:\{LONG}\b.xml", rf"\\?\C:\{LONG}\b.xml"),
        (rf"C:\{LONG}/c\.\d\..\b.xml", rf"\\?\C:\{LONG}\c\b.xml"),
        (rf"\\server\share\{LONG}\b.xml", rf"\\?\UNC\server\share\{LONG}\b.xml"),
        (rf"//server/share/{LONG}/b.xml", rf"\\?\UNC\server\share\{LONG}\b.xml"),
        (rf"\\?\C:\{LONG}\b.xml", rf"\\?\C:\{LONG}\b.xml"),
        (rf"\\?\UNC\server\share\{LONG}", rf"\\?\UNC\server\share\{LONG}"),
        (LONG, LONG),
        (r"C:\a\b.xml", r"C:\a\b.xml"),
        (r"\\server\share\b.xml", r"\\server\share\b.xml"),
    ],
)
def test_a_long_path_gets_its_prefix(path: str, given: str) -> None:
    assert extended(path) == given


def test_the_limit_is_that_of_folders() -> None:
    most = "C:\\" + "a" * (MAX_FOLDER - 3)
    assert extended(most) == most
    assert extended(f"{most}a") == f"\\\\?\\{most}a"


def test_a_path_looks_the_same_and_gives_others(tmp_path: Path) -> None:
    folder = local_path(tmp_path)
    for _ in range(5):
        folder /= "a" * 60
    folder.mkdir(parents=True)
    file = (folder / "b").with_suffix(".xml")
    file.write_bytes(b"<a/>")
    assert str(file) == str(Path(str(file)))
    assert file == Path(str(file))
    assert [str(path) for path in folder.iterdir()] == [str(file)]
    assert file.parent.is_dir()
    file.unlink()
