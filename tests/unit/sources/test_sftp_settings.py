"""The section of kind sftp: what is wrong with it is said, and what is right is enough."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from pipeline.errors import ConfigurationError
from stages.sources.registry import CONNECTORS, platform_of
from stages.sources.sftp.settings import Sftp
from tests.helpers.settings import GOOD, SECOND, load, problems

PRINT = "SHA256:uNiVztksCsDhcc0u9e8BrXJ/TH7D95yMqhsNG4T4r8k"
SECTION = f"""
name = "billtobox"
kind = "sftp"
host = "sftp.example.com"
user = "firm"
password = {{ env = "SYNQUP_SFTP" }}
fingerprint = "{PRINT}"
acknowledge = "remove"
"""


def text(section: str) -> str:
    """The good configuration with another source."""
    before, _, rest = GOOD.partition("[[sources]]\n")
    companies = rest[rest.index("[[companies]]") :]
    return f"{before}[[sources]]\n{section}\n{companies}{SECOND}"


def section(folder: Path, changed: str = SECTION) -> Sftp:
    (one,) = load(folder, text(changed)).sources
    assert isinstance(one, Sftp)
    return one


def test_a_short_section_is_enough(tmp_path: Path) -> None:
    one = section(tmp_path)
    assert (one.server, one.port, one.acknowledging) == ("sftp.example.com", 22, "remove")
    assert [folder.path for folder in one.document_folders] == ["**"]


def test_the_preset_of_codabox_says_the_rest(tmp_path: Path) -> None:
    one = section(
        tmp_path,
        f"""
        name = "billtobox"
        kind = "sftp"
        preset = "codabox"
        user = "firm"
        password = {{ env = "SYNQUP_SFTP" }}
        fingerprint = "{PRINT}"
        """,
    )
    assert (one.server, one.acknowledging, one.has_renditions) == (
        "sftp.codabox.com",
        "remove",
        True,
    )
    assert "*processed*" in one.left_alone
    assert {folder.kind for folder in one.document_folders} == {
        "purchase",
        "sales",
        "statement",
        "",
    }


def test_folders_are_tables_with_a_pattern_and_a_kind(tmp_path: Path) -> None:
    rows = '[[sources.folders]]\npath = "[company]/in"\nkind = "purchase"\nfiles = ["*.xml"]\n'
    (one,) = section(tmp_path, SECTION + rows).document_folders
    assert (one.path, one.hint, one.files) == ("[company]/in", "purchase", ("*.xml",))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('host = "sftp.example.com"', "", "host (billtobox): this is missing"),
        ('"sftp.example.com"', '"sftp://firm@sftp.example.com"', "write the host alone"),
        ('"sftp.example.com"', '"sftp.example.com"\nport = 0', "a port is 1 to 65535"),
        ('user = "firm"', 'user = " "', "can't be empty"),
        ('acknowledge = "remove"', "", "says what becomes of documents"),
        ('"remove"', '"delete"', 'is none of "", "remove", "move", "keep"'),
        (PRINT, "SHA256:short", "a fingerprint looks like"),
        (PRINT, "aa:bb:cc", "a fingerprint looks like"),
        ('password = { env = "SYNQUP_SFTP" }', "", "this is missing, and so is `key`"),
        ("acknowledge", 'passphrase = { env = "X" }\nacknowledge', "`key` is missing"),
        ("acknowledge", 'known_hosts = "nowhere"\nacknowledge', "can't be read"),
        ("acknowledge", 'marker = ".ok"\nacknowledge', 'write one like "*.ok"'),
        ("acknowledge", 'root = "a/../b"\nacknowledge', 'without ".."'),
        ("acknowledge", 'archive = "/"\nacknowledge', "below the root"),
        ("acknowledge", 'preset = "codabux"\nacknowledge', 'is none of "", "codabox"'),
        ("acknowledge", "settle = -1\nacknowledge", "is not a duration"),
        ("acknowledge", 'folders = [{ path = "[firm]" }]\nacknowledge', "there is no [firm]"),
        ("acknowledge", 'password_file = "x"\nacknowledge', "there is no such key"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    found = problems(tmp_path, text(SECTION.replace(old, new)))
    assert any(said in problem for problem in found), found


def test_one_says_whom_one_trusts_in_one_way(tmp_path: Path) -> None:
    (tmp_path / "known").write_text("")
    found = problems(tmp_path, text(SECTION + 'known_hosts = "known"\n'))
    assert "write one of both" in found[0]
    kept = section(tmp_path, SECTION.replace("fingerprint", "#") + 'known_hosts = "known"\n')
    assert kept.known_hosts == tmp_path / "known"


def test_a_fingerprint_may_be_written_with_padding_or_without_its_name(tmp_path: Path) -> None:
    for written in (f"{PRINT}=", PRINT.removeprefix("SHA256:"), f" {PRINT} "):
        assert section(tmp_path, SECTION.replace(PRINT, written)).fingerprint == PRINT


def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.sources.sftp.settings.find_spec", lambda name: None)
    found = problems(tmp_path, text(SECTION))
    assert 'install "synqup[sftp]"' in found[0]
    connector = next(one for one in CONNECTORS if one.kind == "sftp")
    missing = structs.replace(connector, platform="asyncssh_is_not_here.sandbox:Platform")
    with pytest.raises(ConfigurationError) as refused:
        platform_of(missing)
    assert 'asyncssh_is_not_here is missing; install "synqup[sftp]"' in str(refused.value)
