"""The connector sftp against the sandbox's own server, which misbehaves as told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import anyio
import pytest

from pipeline.app.wiring import Config, load_config
from pipeline.app.wiring_sandbox import serve_platform
from pipeline.errors import ConfigurationError, RetryableError, SignInRefused
from stages.sandbox import Faults, FaultSpec, Mailbox, write_config
from tests.helpers.sftp import catch_up, content, entries, opened

pytestmark = pytest.mark.anyio

SHORT = "attempts = 3\nretry_wait = 0.01\nlongest_retry_wait = 0.02\ntimeout = {timeout}\n"


class Served:
    def __init__(self, folder: Path, mailbox: Mailbox) -> None:
        self.folder = folder
        self.mailbox = mailbox
        self.path = folder / "synqup.toml"

    def config(self, more: str = "", settle: float = 0, timeout: float = 30) -> Config:
        text = self.path.read_text().replace("settle = 1\n", f"settle = {settle}\n")
        keys = SHORT.format(timeout=timeout) + more
        text = text.replace('kind = "sftp"\n', f'kind = "sftp"\n{keys}')
        path = self.folder / "tried.toml"
        path.write_text(text)
        return load_config(path)

    def delivered(self) -> Counter[str]:
        files = [path for path in (self.folder / "out").rglob("*") if path.is_file()]
        return Counter(sha256(path.read_bytes()).hexdigest() for path in files)

    def held(self) -> Counter[str]:
        return Counter(sha256(document.read()).hexdigest() for document in self.mailbox)

    def told(self) -> list[str]:
        lines = (self.folder / "journal.jsonl").read_text().splitlines()
        return sorted(json.loads(line)["id"] for line in lines)


@asynccontextmanager
async def served(folder: Path, *faults: FaultSpec, documents: int = 20) -> AsyncIterator[Served]:
    mailbox = Mailbox(documents, 2, seed=7)
    one = Served(folder, mailbox)
    async with serve_platform(
        "sftp", mailbox, journal=folder / "journal.jsonl", faults=Faults(faults)
    ) as sandbox:
        write_config(one.path, sandbox, mailbox)
        yield one


async def bring(one: Served, *, runs: int = 3, **settings: float) -> None:
    """Catch up as often as it takes, and see that each document is there once."""
    config = one.config(**settings)  # type: ignore[arg-type]
    for _ in range(runs):
        await catch_up(config)
    assert one.delivered() == one.held()
    assert one.told() == sorted(document.id for document in one.mailbox)


async def test_what_is_ours_arrives_and_the_rest_is_left(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await bring(one, runs=1, settle=1)
        config = one.config()
        async with opened(config) as source:
            said = await source.check(config)
            assert await entries(source, config) == []
    assert "not configured, and left alone: ONBEKEND01" in said
    assert "0 files are there" in said


@pytest.mark.parametrize(
    "fault",
    [
        FaultSpec("reset", rate=0.5, each=2),
        FaultSpec("forbidden", each=1, share=0.5),
        FaultSpec("forbidden", on="list", times=2, share=0.5),
        FaultSpec("forbidden", on="acknowledgement", each=1),
        FaultSpec("slow", seconds=0.01),
        FaultSpec("lost-acknowledgement", each=1, share=0.5),
    ],
    ids=lambda spec: f"{spec.name}-{spec.on or 'usual'}",
)
async def test_faults_that_pass_lose_nothing_and_bring_nothing_twice(
    tmp_path: Path, fault: FaultSpec
) -> None:
    async with served(tmp_path, fault) as one:
        await bring(one, runs=4)


async def test_a_server_that_says_nothing_is_given_up_for_a_while(tmp_path: Path) -> None:
    async with served(tmp_path, FaultSpec("no-answer", times=2), documents=6) as one:
        await bring(one, runs=3, timeout=0.5)


async def test_files_that_grow_under_their_name_arrive_once_and_whole(tmp_path: Path) -> None:
    async with served(tmp_path, FaultSpec("growing", seconds=1.5, share=0.5)) as one:
        await bring(one, runs=3, settle=1)


async def test_a_file_that_is_still_there_after_it_was_removed_is_not_delivered_again(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, FaultSpec("ignored-acknowledgement", each=1)) as one:
        await bring(one, runs=3)


async def test_what_comes_during_a_run_comes_with_the_next(tmp_path: Path) -> None:
    async with served(tmp_path, documents=5) as one:
        await bring(one, runs=1)
        one.mailbox.grow(5)
        await bring(one, runs=1)


async def test_wrong_passwords_are_said(tmp_path: Path) -> None:
    async with served(tmp_path, FaultSpec("sign-in-refused", times=1)) as one:
        config = one.config()
        async with opened(config) as source:
            with pytest.raises(SignInRefused, match="refuses the sign-in of synqup"):
                await source.check(config)
            assert "signed in" in await source.check(config)
            secret = one.path.with_name("synqup.toml.secret")
            secret.write_text("another one")
        async with opened(config) as source:
            with pytest.raises(SignInRefused, match="Check user, password and key"):
                await entries(source, config)


async def test_a_refused_sign_in_is_not_repeated_for_each_document(tmp_path: Path) -> None:
    """Some servers lock an account for that."""
    async with served(tmp_path) as one:
        config = one.config()
        async with opened(config) as source:
            found = await entries(source, config)
            await source.close()
            one.path.with_name("synqup.toml.secret").write_text("another one")
            refused: list[Exception] = []

            async def fetch(number: int) -> None:
                try:
                    await content(source, found[number])
                except SignInRefused as error:
                    refused.append(error)

            async with anyio.create_task_group() as fetching:
                for number in range(10):
                    fetching.start_soon(fetch, number)
        assert len(refused) == 10
        assert len({id(error) for error in refused}) == 1


async def test_nothing_listens_there(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        config = one.config()
    async with opened(config) as source:
        with pytest.raises(RetryableError, match="can't be reached"):
            await source.check(config)


@pytest.mark.parametrize("said", ["", "HTTP/1.1 400 Bad Request\r\n\r\n", "220 FTP\r\n"])
async def test_something_else_listens_there(tmp_path: Path, said: str) -> None:
    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(said.encode())

    async with (
        served(tmp_path) as one,
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, answer)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        text = one.path.read_text()
        (old,) = [line for line in text.splitlines() if line.startswith("port = ")]
        one.path.write_text(text.replace(old, f"port = {port}"))
        config = one.config()
        async with opened(config) as source:
            with pytest.raises(RetryableError, match=r"127\.0\.0\.1"):
                await source.check(config)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("mode", ["remove", "move"])
async def test_what_can_not_be_delivered_leaves_only_with_its_bytes_safe(
    tmp_path: Path, mode: str
) -> None:
    async with served(tmp_path, documents=0) as one:
        config = one.config(f'acknowledge = "{mode}"\n')
        root = _root(one)
        folder = root / one.mailbox.companies[0].accounting_file_id / "2026" / "Documents"
        folder.mkdir(parents=True)
        (folder / "poison.bin").write_bytes(b"what nobody knows")
        (folder / "large.bin").write_bytes(b"x" * 51_000_000)
        result = await catch_up(config)
        assert result.counters.quarantined == 2
        left = {path.name for path in folder.iterdir()}
        kept = [path.read_bytes() for path in (tmp_path / "state").rglob("*.bin")]
        assert kept == [b"what nobody knows"]
        if mode == "remove":
            assert left == {"large.bin"}
        else:
            assert left == set()
            assert {path.name for path in (root / "error").iterdir()} == {"poison.bin", "large.bin"}
        assert (await catch_up(config)).counters.quarantined == 0


async def test_an_unknown_fault_is_said() -> None:
    with pytest.raises(ConfigurationError, match="can't be used") as refused:
        async with serve_platform("sftp", Mailbox(1), faults=Faults([FaultSpec("explosion")])):
            pass
    assert "lost-acknowledgement" in str(refused.value)


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        with pytest.raises(ConfigurationError) as refused:
            async with serve_platform("sftp", Mailbox(1), port=port):
                pass
    assert "--port: can't listen there" in str(refused.value)


async def test_certificates_are_not_for_ssh(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be used"):
        async with serve_platform("sftp", Mailbox(1), tls=tmp_path / "x.pem"):
            pass


def _root(one: Served) -> Path:
    """The folder that the sandbox serves: the one that holds what is left alone."""
    found: Sequence[Path] = sorted(
        Path("/tmp").glob("synqup-sftp-*/ONBEKEND01"), key=lambda path: path.stat().st_mtime
    )
    return found[-1].parent
