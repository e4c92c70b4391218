"""Nodes that share a sign-in: the platform sees one of them, whatever becomes of the others."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import msgspec
import pytest
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream
from msgspec import structs

pytest.importorskip("psycopg", reason="psycopg is not installed (the extra 'cluster')")

from pipeline.cluster.database import Database
from pipeline.cluster.turns import NodeTurns
from pipeline.errors import RetryableError, SignInRefused
from pipeline.shared_mount import MARKER
from stages.sources.http.oauth import SignIn
from stages.sources.http.oauth_client import OAuthClient
from stages.sources.http.token import TokenCache
from stages.sources.http.token_endpoint import GrantRefused
from stages.sources.http.token_store import StoredSignIn, TokenStore, token_path
from tests.helpers.issuer import Issuer, issuer, many
from tests.helpers.node_signing_in import client_at, sign_in
from tests.helpers.systems import is_private, posix_only

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


class Node:
    """A node in this process: its sign-in, and the token that all of its requests use."""

    def __init__(self, one: SignIn) -> None:
        self.sign_in = one
        self.token = TokenCache(one.grant)


@contextmanager
def turns_at(dsn: str, claim: float = 30.0) -> Iterator[NodeTurns]:
    database = Database(dsn, "test")
    try:
        yield NodeTurns(database, claim)
    finally:
        database.close()


@asynccontextmanager
async def node(
    folder: Path, it: Issuer, dsn: str, *, client: OAuthClient | None = None, claim: float = 30.0
) -> AsyncIterator[Node]:
    with turns_at(dsn, claim) as turns:
        one, http = sign_in(client or client_at(it.url, folder), folder, turns)
        try:
            yield Node(one)
        finally:
            await one.close()
            await http.close()


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Issuer]:
    (tmp_path / "secret").write_text("s3cret-one")
    (tmp_path / "refresh").write_text("r0")
    (tmp_path / MARKER).touch()
    async with issuer() as one:
        one.rotates = True
        yield one


@asynccontextmanager
async def process(
    folder: Path, it: Issuer, dsn: str, how: str = "once", claim: float = 30.0
) -> AsyncIterator[tuple[Process, TextReceiveStream]]:
    command = [sys.executable, "-m", "tests.helpers.node_signing_in"]
    arguments = [str(folder), it.url, dsn, str(claim), how]
    async with await anyio.open_process([*command, *arguments], cwd=ROOT, stderr=None) as one:
        assert one.stdout is not None
        try:
            yield one, TextReceiveStream(one.stdout)
        finally:
            if one.returncode is None:
                one.kill()


async def said(output: TextReceiveStream) -> str:
    return "".join([text async for text in output]).strip()


def used(it: Issuer) -> list[str | None]:
    """The refresh tokens that the issuer was sent, in their order."""
    return [form.get("refresh_token") for form in it.forms]


def stored(folder: Path, it: Issuer) -> StoredSignIn:
    return TokenStore("box", token_path(folder, "box"), client_at(it.url, folder)).read()


async def test_nodes_that_need_a_token_at_once_make_one_request(
    tmp_path: Path, it: Issuer, postgres: str
) -> None:
    it.delay = 0.3
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(node(tmp_path, it, postgres)) for _ in range(3)]
        got: list[str] = []

        async def get(one: Node) -> None:
            got.extend(await many(one.token, 10))

        async with anyio.create_task_group() as group:
            for one in nodes:
                group.start_soon(get, one)
        assert set(got) == {"t1"}
        assert used(it) == ["r0"]
        assert is_private(token_path(tmp_path, "box"))
        # One that is refused is replaced once, and not by each node.
        assert sorted(one.token.reject("t1") for one in nodes) == [False, False, True]
        got.clear()
        async with anyio.create_task_group() as group:
            for one in nodes:
                group.start_soon(get, one)
        assert set(got) <= {"t2"}
        assert used(it) == ["r0", "r1"]


async def test_nodes_in_processes_of_their_own_make_one_request(
    tmp_path: Path, it: Issuer, postgres: str
) -> None:
    it.delay = 0.5
    tokens: list[str] = []

    async def run() -> None:
        async with process(tmp_path, it, postgres) as (_, output):
            tokens.append(await said(output))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(run)
    assert tokens == ["t1"] * 3
    assert used(it) == ["r0"]


async def test_an_issuer_that_gives_no_new_refresh_token_is_asked_once_as_well(
    tmp_path: Path, it: Issuer, postgres: str
) -> None:
    it.rotates = False
    async with node(tmp_path, it, postgres) as one, node(tmp_path, it, postgres) as other:
        assert {await one.token.get(), await other.token.get()} == {"t1"}
        one.token.reject("t1")
        other.token.reject("t1")
        assert {await one.token.get(), await other.token.get()} == {"t2"}
        assert used(it) == ["r0", "r0"]


async def test_nodes_share_a_token_for_client_credentials_too(
    tmp_path: Path, it: Issuer, postgres: str
) -> None:
    it.rotates = False
    client = client_at(it.url, tmp_path, by_refresh_token=False)
    async with (
        node(tmp_path, it, postgres, client=client) as one,
        node(tmp_path, it, postgres, client=client) as other,
    ):
        assert {await one.token.get(), await other.token.get()} == {"t1"}
        assert len(it.forms) == 1
        assert is_private(token_path(tmp_path, "box"))
        # With another secret it is another's token.
        (tmp_path / "secret").write_text("s3cret-two")
        async with node(tmp_path, it, postgres, client=client) as third:
            assert await third.token.get() == "t2"


async def test_a_token_that_has_ended_is_not_used_by_anybody(
    tmp_path: Path, it: Issuer, postgres: str
) -> None:
    async with node(tmp_path, it, postgres) as one, node(tmp_path, it, postgres) as other:
        assert await one.token.get() == "t1"
        found = stored(tmp_path, it)
        assert found.access is not None
        assert abs(found.access.ends_at - (time.time() + 240)) < 60
        ended = structs.replace(found.access, ends_at=time.time() - 1)
        path = token_path(tmp_path, "box")
        path.write_bytes(msgspec.json.encode(structs.replace(found, access=ended)))
        assert await other.token.get() == "t2"


async def test_a_shared_token_that_is_refused_at_once_says_nothing_of_the_sign_in(
    tmp_path: Path, it: Issuer, postgres: str
) -> None:
    async with node(tmp_path, it, postgres) as one:
        await one.token.get()
    async with node(tmp_path, it, postgres) as other:
        assert await other.token.get() == "t1"
        assert not other.token.reject("t1")
        assert await other.token.get() == "t2"
        assert other.token.reject("t2")


async def test_a_node_that_dies_before_it_has_stored_what_it_got_is_told_as_a_lost_answer(
    tmp_path: Path, it: Issuer, postgres: str
) -> None:
    async with process(tmp_path, it, postgres, "die", claim=1.0) as (one, output):
        assert await said(output) == "answered"
        assert await one.wait() == (signal.SIGTERM if os.name == "nt" else -signal.SIGKILL)
    it.refused.add("r0")
    async with (
        node(tmp_path, it, postgres, claim=1.0) as other,
        node(tmp_path, it, postgres, claim=1.0) as third,
    ):
        for survivor in (other, third):
            with pytest.raises(GrantRefused, match=r"the next refresh token was lost on its way"):
                await survivor.token.get()
        # A new sign-in by a person, which both go on with.
        store = TokenStore(
            "box", token_path(tmp_path, "box"), client_at(it.url, tmp_path), shared=True
        )
        store.sign_in(StoredSignIn("anew", account="jan@firm.example"))
        with anyio.fail_after(30):
            await other.sign_in.renewed_by_user()
            await third.sign_in.renewed_by_user()
        assert await other.token.get() == await third.token.get()
        assert used(it).count("anew") == 1
        # From then on a refusal is one, and nothing that was lost.
        it.refused.add(stored(tmp_path, it).refresh_token)
        other.token.reject(await other.token.get())
        with pytest.raises(SignInRefused) as refused:
            await other.token.get()
        assert "lost" not in str(refused.value)


async def test_a_node_that_died_is_no_trouble_where_the_issuer_takes_the_token_again(
    tmp_path: Path, it: Issuer, postgres: str
) -> None:
    async with process(tmp_path, it, postgres, "die", claim=1.0) as (one, output):
        await said(output)
        await one.wait()
    async with node(tmp_path, it, postgres, claim=1.0) as other:
        assert await other.token.get() == "t2"
    assert used(it) == ["r0", "r0"]


@posix_only("no signal stops a process")
async def test_a_node_that_hung_does_not_replace_what_another_has_renewed_since(
    tmp_path: Path, it: Issuer, postgres: str
) -> None:
    async with process(tmp_path, it, postgres, "stop", claim=1.0) as (hung, output):
        assert (await output.receive()).strip() == "answered"
        async with node(tmp_path, it, postgres, claim=1.0) as other:
            with anyio.fail_after(30):
                assert await other.token.get() == "t2"
            before = stored(tmp_path, it)
            assert before.refresh_token == "r2"
            hung.send_signal(signal.SIGCONT)
            assert await said(output) == "t1"
            assert stored(tmp_path, it) == before
            other.token.reject("t2")
            await other.token.get()
    assert used(it) == ["r0", "r0", "r2"]


@posix_only("no signal stops a process")
async def test_a_node_that_hung_stores_what_it_got_if_nobody_has_renewed(
    tmp_path: Path, it: Issuer, postgres: str
) -> None:
    async with process(tmp_path, it, postgres, "stop", claim=1.0) as (hung, output):
        assert (await output.receive()).strip() == "answered"
        it.refused.add("r0")
        async with node(tmp_path, it, postgres, claim=1.0) as other:
            with pytest.raises(GrantRefused, match="lost on its way"):
                await other.token.get()
            hung.send_signal(signal.SIGCONT)
            assert await said(output) == "t1"
            assert stored(tmp_path, it).refresh_token == "r1"
            with anyio.fail_after(30):
                await other.sign_in.renewed_by_user()
            assert await other.token.get() == "t1"


async def test_nodes_with_configured_tokens_of_their_own_agree_on_the_latest(
    tmp_path: Path, it: Issuer, postgres: str
) -> None:
    """What a person puts into one node's configuration is taken once, and by all."""
    homes = []
    for name in ("one", "other"):
        home = tmp_path / name
        home.mkdir()
        (home / "secret").write_text("s3cret-one")
        (home / "refresh").write_text("r0")
        homes.append(client_at(it.url, home))
    async with (
        node(tmp_path, it, postgres, client=homes[0]) as one,
        node(tmp_path, it, postgres, client=homes[1]) as other,
    ):
        held = "t0"
        for holder in (one, other, one):
            holder.token.reject(held)
            held = await holder.token.get()
            holder.token.reject(held)
            held = await holder.token.get()
        assert (tmp_path / "one" / "refresh").read_text() == "r0"
        (tmp_path / "other" / "refresh").write_text("anew")
        for holder in (other, one, other):
            holder.token.reject(await holder.token.get())
            held = await holder.token.get()
    sent = used(it)
    assert sent.count("r0") == 1
    assert sent.count("anew") == 1
    assert len(set(sent)) == len(sent)


async def test_a_folder_that_is_not_mounted_any_more_costs_no_sign_in(
    tmp_path: Path, it: Issuer, postgres: str
) -> None:
    async with node(tmp_path, it, postgres) as one:
        one.token.reject(await one.token.get())
        (tmp_path / MARKER).rename(tmp_path / "elsewhere")
        (tmp_path / "tokens").rename(tmp_path / "tokens-elsewhere")
        with pytest.raises(RetryableError, match="is not mounted there"):
            await one.token.get()
        assert not (tmp_path / "tokens").exists()
        assert used(it) == ["r0"]
        (tmp_path / "elsewhere").rename(tmp_path / MARKER)
        (tmp_path / "tokens-elsewhere").rename(tmp_path / "tokens")
        assert await one.token.get() == "t2"
    assert used(it) == ["r0", "r1"]
