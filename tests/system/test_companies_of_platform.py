"""The companies come from the platform's own list: at the set-up, and later."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from tests.helpers.billit import ONE, THREE, TWO, billit, configure
from tests.helpers.processes import SYNQUP, mailbox, output_of
from tests.helpers.terminal import terminal

pytestmark = pytest.mark.slow

#: What `init` is told of each platform, with the secrets that lie in files of their own.
SETTINGS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "billit": (("url", "door", "feed"), ("api_key",)),
    "codabox": (("url", "username"), ("software_company", "password")),
}


def run(folder: Path, *arguments: object, expect: int = 0, given: str = "") -> str:
    arguments = (*arguments, "--language", "en")
    return output_of(SYNQUP, *arguments, expect=expect, folder=folder, given=given)


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text())


def source_options(config: Path, *, in_files: bool = True) -> list[str]:
    """What the configuration of a sandbox says of its source, as options."""
    (source,) = read(config)["sources"]
    plain, secrets = SETTINGS[source["kind"]]
    options = ["--platform", source["kind"]]
    for key in plain:
        options += ["--set", f"{key}={source[key]}"]
    for key in secrets if in_files else ():
        options += ["--secret", f"{key}=file:{config.with_name(source[key]['file'])}"]
    return options


@pytest.mark.parametrize("platform", SETTINGS)
@pytest.mark.parametrize("package", ["other", "winbooks"])
def test_they_are_set_up_without_a_list(tmp_path: Path, platform: str, package: str) -> None:
    box_folder = tmp_path / "box"
    with mailbox(box_folder, "--platform", platform, "--documents", 12, "--companies", 4) as box:
        options = [
            *("init", "--config", "synqup.toml", *source_options(box.config)),
            *("--package", package, "--root", tmp_path / "out", "--from-platform", "--yes"),
        ]
        wanted = read(box.config)["companies"]
        if (platform, package) == ("billit", "winbooks"):
            # Its folders bear a number that this platform does not know.
            said = run(tmp_path, *options, expect=2)
            assert f"{wanted[0]['name']} has no file number" in said
            assert not (tmp_path / "synqup.toml").exists()
            return
        said = run(tmp_path, *options)
        assert f"Companies that {platform} lists: 4" in said
        assert "Where documents go" in said
        found = read(tmp_path / "companies.toml")["companies"]
        for key in ("name", "identifier", "source"):
            assert [one[key] for one in found] == [one[key] for one in wanted]
        for one, at in zip(found, wanted, strict=True):
            assert one["platform_id"] == at.get("platform_id", at["accounting_file_id"])
            assert one.get("accounting_file_id", "") in ("", at["accounting_file_id"])
        checked = output_of(SYNQUP, "check", "--config", "synqup.toml", folder=tmp_path)
        assert "FAIL" not in checked
        if platform == "billit":
            output_of(SYNQUP, "catch-up", "--config", "synqup.toml", folder=tmp_path)
            assert len([one for one in (tmp_path / "out").rglob("*") if one.is_file()]) == 12


@pytest.mark.parametrize("platform", ["billit", "codabox", "einvoice_be"])
def test_those_that_are_missing_are_added_later(tmp_path: Path, platform: str) -> None:
    with mailbox(tmp_path, "--platform", platform, "--documents", 3, "--companies", 4) as box:
        text = box.config.read_text()
        head, first, second, *_ = text.split("[[companies]]")
        first = first.replace('name = "', 'name = "Renamed ')
        box.config.write_text("[[companies]]".join((f"# ours\n{head}", first, second)))
        before = read(box.config)["companies"]
        command = ("companies", "import", "--config", box.config, "--from-platform", platform)
        assert "--yes" in run(tmp_path, *command, expect=2)
        said = run(tmp_path, *command, "--yes")
        assert "stay as they are: 2" in said
        assert "Companies added" in said
        found = read(box.config)["companies"]
        assert box.config.read_text().startswith("# ours")
        assert found[:2] == before
        wanted = tomllib.loads(text)["companies"][2:]
        assert [one["identifier"] for one in found[2:]] == [one["identifier"] for one in wanted]
        assert [one["name"] for one in found[2:]] == [one["name"] for one in wanted]
        assert {one["source"] for one in found[2:]} == {platform}
        assert "nothing to change" in run(tmp_path, *command, "--yes")
        assert "FAIL" not in output_of(SYNQUP, "check", "--config", box.config, folder=tmp_path)


def test_a_platform_without_a_list_says_so(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 3) as box:
        command = ("companies", "import", "--config", box.config, "--yes")
        said = run(tmp_path, *command, "--from-platform", "billtobox", expect=2)
        assert "has no list of companies" in said
        said = run(tmp_path, *command, "--from-platform", "other", expect=2)
        assert 'there is no source "other"; there are billtobox' in said
        assert "--from-platform" in run(tmp_path, *command, expect=2)
        said = run(tmp_path, *command, "list.csv", "--from-platform", "billtobox", expect=2)
        assert "name a file, or a source" in said.replace("\n", " ")


def test_a_platform_that_does_not_answer_leaves_nothing_behind(tmp_path: Path) -> None:
    options = ("--set", "url=http://127.0.0.1:9/v1", "--set", "door=inbox")
    said = run(
        tmp_path,
        *("init", "--config", "synqup.toml", "--platform", "billit", *options),
        *("--set", "attempts=1", "--secret", "api_key=file:key", "--secret-stdin", "api_key"),
        *("--package", "other", "--root", "out", "--from-platform", "--yes"),
        expect=3,
        given="s3cret\n",
    )
    assert "127.0.0.1" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.anyio
async def test_those_without_a_number_of_use_are_named_and_left_out(tmp_path: Path) -> None:
    async with billit() as one:
        config_path = tmp_path / "synqup.toml"
        configure(tmp_path, one, {ONE: "11"})
        one.companies = [
            {"PartyID": 11, "Name": "First", "VATNumber": ONE},
            {"PartyID": 12, "Name": "Second", "VATNumber": "0428.759.497"},
            {"PartyID": 13, "Name": "No number"},
            {"PartyID": 14, "Name": "Wrong one", "VATNumber": "BE0403170702"},
            {"PartyID": 15, "Name": "Once more", "VATNumber": TWO},
            # It is configured under another number.
            {"PartyID": "11", "Name": "First's other", "VATNumber": THREE},
        ]
        command = ("companies", "import", "--config", config_path, "--from-platform", "billit")
        said = await anyio.to_thread.run_sync(partial(run, tmp_path, *command, "--yes"))
        for words in (
            *("No number (13)", "Wrong one (14)", "check digits", "Once more (15)"),
            "given twice (Second)",
        ):
            assert words in said
        found = read(config_path)["companies"]
        assert [row["identifier"] for row in found] == [ONE, TWO]
        assert found[1] == {
            "name": "Second",
            "identifier": TWO,
            "platform_id": "12",
            "source": "billit",
        }
        # By --update the names of the platform are taken.
        said = await anyio.to_thread.run_sync(partial(run, tmp_path, *command, "--yes", "--update"))
        assert [row["name"] for row in read(config_path)["companies"]] == ["First", "Second"]


@pytest.mark.skipif(sys.platform == "win32", reason="of POSIX")
def test_a_person_is_offered_them_and_can_take_another_way(tmp_path: Path) -> None:
    with mailbox(tmp_path / "box", "--platform", "billit", "--companies", 2) as box:
        source = read(box.config)["sources"][0]
        given = source_options(box.config, in_files=False)
        secret = box.config.with_name(source["api_key"]["file"]).read_text().strip()
        command = (
            *("init", "--config", "synqup.toml", "--language", "en", *given),
            *("--secret", "api_key=file:key", "--set", "attempts=1", "--package", "other"),
            *("--root", "out", "--formats", "ubl"),
        )
        environment = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        with terminal(*command, cwd=tmp_path, environment=environment) as person:
            answer_source(person, "wrong")
            person.expect("Which companies", "those that the platform itself lists")
            person.answer("number or name", "platform")
            person.expect("The platform can't tell them")
            person.expect("Which companies")
            person.answer("number or name", "type")
            person.answer("Name of the company", "Peeters")
            person.answer("enterprise or VAT number", ONE)
        with terminal(*command, cwd=tmp_path, environment=environment) as person:
            answer_source(person, secret)
            person.answer("number or name", "1")
            person.expect("lists: 2")
            person.answer("Write this?", "y")
            person.expect("Written")
        assert len(read(tmp_path / "companies.toml")["companies"]) == 2


def answer_source(person: Any, secret: str) -> None:
    person.answer("what you type is not shown", secret)
    for question in ("Sign-in: client id", "redirect_uri", "PartyID"):
        person.answer(question, "")
