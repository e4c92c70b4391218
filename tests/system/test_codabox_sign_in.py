"""A person signs in to CodaBox by a token that is mailed: once, and stored before it is used."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path

import anyio
import pytest

from pipeline.app.wiring import open_sign_in
from pipeline.errors import ConfigurationError, SignInRefused, SourceError, StateError
from pipeline.sign_in import InteractiveSignIn, UnusableAnswer
from stages.sandbox import FaultSpec
from stages.sources.codabox.source import CodaBoxSource
from tests.helpers.codabox import CodaBoxWorld, codabox
from tests.helpers.processes import PATIENCE, ROOT, SYNQUP, mailbox, synqup


def flow_of(it: CodaBoxWorld) -> InteractiveSignIn:
    config = it.config()
    return open_sign_in(config.sources[0], config.service.state_dir)


@pytest.mark.anyio
async def test_a_token_brings_the_credentials(tmp_path: Path) -> None:
    async with codabox(tmp_path, by_person=True) as it:
        result = await it.bring()
        assert "nobody has signed in yet. Sign in: synqup sign-in codabox" in str(result.failures)
        flow = flow_of(it)
        await flow.begin()
        assert flow.address(0) == ""
        assert "mails a one-time token to the holder of BE" in flow.instructions
        ((vat, token),) = it.wire.mails
        assert vat == it.mailbox.companies[0].identifier
        state = await flow.finish(flow.code_of(f"  <{token}> \n"))
        assert (state.account, state.problem) == ("sandbox-7", "")
        await flow.close()
        stored = tmp_path / "state" / "tokens" / "codabox"
        assert json.loads(stored.read_bytes())["username"] == "sandbox-7"
        assert stored.stat().st_mode & 0o077 == 0
        assert [path.name for path in stored.parent.iterdir()] == ["codabox"]
        assert not (await it.bring()).failures


@pytest.mark.anyio
async def test_a_used_token_and_a_mistyped_one_can_be_given_anew(tmp_path: Path) -> None:
    async with codabox(tmp_path, by_person=True) as it:
        flow = flow_of(it)
        await flow.begin()
        ((_, token),) = it.wire.mails
        for odd in ("", "a b!", "https://codabox.example/", "..", "...."):
            with pytest.raises(UnusableAnswer):
                flow.code_of(odd)
        with pytest.raises(UnusableAnswer, match="does not know this token"):
            await flow.finish("another")
        address = f"https://codabox.example/token/{token}/?from=mail"
        assert flow.code_of(address) == token
        await flow.finish(token)
        with pytest.raises(UnusableAnswer, match="or it has been used"):
            await flow.finish(token)
        await flow.close()


@pytest.mark.anyio
async def test_what_cant_be_stored_is_found_before_a_token_is_mailed(tmp_path: Path) -> None:
    async with codabox(tmp_path, by_person=True) as it:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "tokens").write_text("a file")
        flow = flow_of(it)
        with pytest.raises(StateError, match="can't be stored"):
            await flow.begin()
        assert not it.wire.mails
        await flow.close()


@pytest.mark.anyio
async def test_a_refused_number_and_key_are_said(tmp_path: Path) -> None:
    async with codabox(tmp_path, by_person=True) as it:
        number = it.mailbox.companies[0].identifier
        it.edit(f'vat = "{number}"', 'vat = "BE0403170701"')
        flow = flow_of(it)
        with pytest.raises(SourceError, match="There is no client with this number"):
            await flow.begin()
        await flow.close()
        it.edit('vat = "BE0403170701"', f'vat = "{number}"')
        (tmp_path / "synqup.toml.secret").write_text("another key")
        flow = flow_of(it)
        with pytest.raises(SignInRefused, match="refuses the key of this software"):
            await flow.begin()
        await flow.close()
        it.edit(f'vat = "{number}"', "")
        with pytest.raises(ConfigurationError, match="vat: this is missing"):
            flow_of(it)


@pytest.mark.anyio
async def test_a_running_service_notes_new_credentials(tmp_path: Path) -> None:
    async with codabox(tmp_path, by_person=True) as it:

        async def sign_in() -> None:
            flow = flow_of(it)
            await flow.begin()
            await flow.finish(it.wire.mails[-1][1])
            await flow.close()

        await sign_in()
        config = it.config()
        source = CodaBoxSource(config.sources[0], config.service.state_dir)  # type: ignore[arg-type]
        assert await source.companies()
        it.wire.revoke()
        with pytest.raises(SignInRefused, match="Sign in again: synqup sign-in codabox"):
            await source.companies()
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(source.signed_in_anew)
                await sign_in()
        assert await source.companies()
        await source.close()


@pytest.mark.anyio
async def test_a_lost_answer_says_to_ask_anew(tmp_path: Path) -> None:
    lost = FaultSpec("reset", on="token", times=1)
    async with codabox(tmp_path, lost, by_person=True) as it:
        flow = flow_of(it)
        await flow.begin()
        token = it.wire.mails[-1][1]
        with pytest.raises(UnusableAnswer, match="Ask for a new token: synqup sign-in codabox"):
            await flow.finish(token)
        await flow.close()
        assert not (tmp_path / "state" / "tokens" / "codabox").exists()


def test_the_command_signs_in(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--platform", "codabox", "--documents", 6, "--sign-in") as box:
        said = synqup("check", "--config", box.config, expect=3)
        assert "nobody has signed in yet. Sign in: synqup sign-in codabox" in said
        url = next(
            line.partition('"')[2].rstrip('"')
            for line in box.config.read_text().splitlines()
            if line.startswith("url")
        )
        command = [*SYNQUP, "sign-in", "codabox", "--config", str(box.config)]
        with subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert "mails a one-time token" in process.stdout.readline()
            with urllib.request.urlopen(f"{url}/sandbox-mails/", timeout=PATIENCE) as mails:
                (mail,) = json.loads(mails.read())
            process.stdin.write("wrong-token\n")
            process.stdin.flush()
            process.stdin.write(f"{mail['token']}\n")
            process.stdin.close()
            said = process.stdout.read()
            assert process.wait(PATIENCE) == 0, said
        assert "does not know this token" in said
        assert "source codabox: signed in as sandbox-1" in said
        assert mail["token"] not in said
        synqup("catch-up", "--config", box.config)
        said = synqup("check", "--config", box.config)
        assert "3 of them are configured" in said
