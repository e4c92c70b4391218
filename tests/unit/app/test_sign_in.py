"""A sign-in of a person: whichever answer comes first counts, and one that is none ends nothing."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from pipeline.app import sign_in as signing
from pipeline.app.wiring import load_config, open_sign_in
from pipeline.app.wiring_sandbox import serve_sandbox, write_config
from pipeline.errors import SignInRefused, SourceError
from pipeline.sign_in import InteractiveSignIn, SignInState
from stages.sandbox import Mailbox
from tests.helpers.browsing import decide, get, shown_address

pytestmark = pytest.mark.anyio


class Person:
    """Reads what is said, and types lines. act: what is done with the address, in a thread."""

    def __init__(self, act: Callable[[str], str | None]) -> None:
        self.said: list[str] = []
        self.pages: list[str] = []
        self._act = act
        self._told = anyio.Event()

    def say(self, text: str) -> None:
        self.said.append(text)
        if shown_address("\n".join(self.said)):
            self._told.set()

    async def typed(self) -> AsyncIterator[str]:
        await self._told.wait()
        line = await anyio.to_thread.run_sync(self._act, shown_address("\n".join(self.said)))
        if line is not None:
            yield "\n"
            yield line
        else:
            await anyio.sleep_forever()

    def come_back(self, sent_to: str) -> None:
        _, page, _ = get(sent_to)
        self.pages.append(page)


async def end_of_input() -> AsyncIterator[str]:
    for line in ():
        yield line


@asynccontextmanager
async def flow(folder: Path, settings: str = "") -> AsyncIterator[InteractiveSignIn]:
    mailbox = Mailbox(1, 1)
    async with serve_sandbox(mailbox) as sandbox:
        path = folder / "synqup.toml"
        write_config(path, sandbox, mailbox, by_person=True)
        text = path.read_text().replace('kind = "billtobox"\n', f'kind = "billtobox"\n{settings}')
        path.write_text(text)
        yield open_sign_in(load_config(path).sources[0], folder / "state")


def is_signed_in(folder: Path, state: SignInState) -> bool:
    return state.account == "jan@firm.example" and (folder / "state/tokens/billtobox").exists()


async def test_a_browser_comes_back_by_itself(tmp_path: Path) -> None:
    person = Person(lambda _: None)

    def open_browser(address: str) -> bool:
        person.come_back(decide(address))
        return True

    async with flow(tmp_path) as one:
        state = await signing.sign_in("box", one, person.typed(), open_browser, person.say)
    assert is_signed_in(tmp_path, state)
    assert "signed in as jan@firm.example until 20" in person.pages[0]
    assert "You can close this window." in person.pages[0]
    assert "A browser opens" in person.said[0]


async def test_an_address_is_opened_elsewhere_and_what_it_ends_at_is_pasted(tmp_path: Path) -> None:
    person = Person(decide)
    async with flow(tmp_path) as one:
        state = await signing.sign_in("box", one, person.typed(), None, person.say)
    assert is_signed_in(tmp_path, state)
    assert "on any machine" in person.said[0]


async def test_a_code_alone_may_be_pasted(tmp_path: Path) -> None:
    person = Person(lambda address: decide(address).partition("code=")[2].partition("&")[0])
    async with flow(tmp_path, 'redirect_uri = "urn:ietf:wg:oauth:2.0:oob"\n') as one:
        with pytest.raises(AssertionError, match="redirect_uri"):
            # The sandbox knows addresses of this machine alone.
            decide_at = partial(decide, one.address(0))
            await anyio.to_thread.run_sync(decide_at)
    async with flow(tmp_path) as one:
        state = await signing.sign_in("box", one, person.typed(), None, person.say)
    assert is_signed_in(tmp_path, state)


async def test_where_no_browser_opens_the_address_is_shown(tmp_path: Path) -> None:
    person = Person(decide)
    async with flow(tmp_path) as one:
        state = await signing.sign_in("box", one, person.typed(), lambda _: False, person.say)
    assert is_signed_in(tmp_path, state)
    assert "on any machine" in person.said[0]


async def test_what_is_no_answer_ends_nothing(tmp_path: Path) -> None:
    """Whatever another page of the browser, or another program, sends there."""
    statuses: list[int] = []

    def browse(address: str) -> str | None:
        sent_to = decide(address)
        base = sent_to.partition("?")[0]
        odd = (
            *("favicon.ico", "other?code=x", "?code=x", "?code=x&state=y", "?state=y", ""),
            *("?error=access_denied&state=y", "?" + "a=b&" * 500),
        )
        statuses.extend(get(f"{base}{one}")[0] for one in odd)
        statuses.append(get(base, b"code=x")[0])
        person.come_back(sent_to)
        return None

    person = Person(browse)
    async with flow(tmp_path) as one:
        state = await signing.sign_in("box", one, person.typed(), None, person.say)
    assert is_signed_in(tmp_path, state)
    assert statuses == [404, 404, 400, 400, 400, 400, 400, 400, 405]


async def test_a_line_that_is_no_answer_is_said_and_another_may_follow(tmp_path: Path) -> None:
    person = Person(decide)

    async def typed() -> AsyncIterator[str]:
        yield "http://127.0.0.1:1/?code=x&state=of-another\n"
        async for line in person.typed():
            yield line

    async with flow(tmp_path) as one:
        state = await signing.sign_in("box", one, typed(), None, person.say)
    assert is_signed_in(tmp_path, state)
    assert any("this is the answer to another sign-in" in line for line in person.said)


async def test_a_refusal_ends_the_sign_in_and_the_browser_is_told(tmp_path: Path) -> None:
    def browse(address: str) -> str | None:
        person.come_back(decide(address, "deny"))
        return None

    person = Person(browse)
    async with flow(tmp_path) as one:
        with pytest.raises(SignInRefused, match="access_denied"):
            await signing.sign_in("box", one, person.typed(), None, person.say)
    assert "access_denied" in person.pages[0]
    assert not (tmp_path / "state").exists()


async def test_nobody_is_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "TIMEOUT", 0.05)
    person = Person(lambda _: None)
    async with flow(tmp_path) as one:
        with pytest.raises(SignInRefused, match="nobody has signed in"):
            await signing.sign_in("box", one, person.typed(), None, person.say)


async def test_where_nothing_can_come_any_more_it_ends_at_once(tmp_path: Path) -> None:
    person = Person(lambda _: None)
    async with flow(tmp_path, 'redirect_uri = "https://app.example/back"\n') as one:
        with anyio.fail_after(60), pytest.raises(SignInRefused, match="nobody has signed in"):
            await signing.sign_in("box", one, end_of_input(), None, person.say)


async def test_a_port_that_is_taken_is_said_and_not_needed_to_paste(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = f'redirect_uri = "http://127.0.0.1:{port}/back"\n'
        person = Person(decide)
        async with flow(tmp_path, settings) as one:
            with pytest.raises(SourceError, match=r"could not come back.*--no-browser"):
                await signing.sign_in("box", one, person.typed(), lambda _: True, person.say)
        async with flow(tmp_path, settings) as one:
            state = await signing.sign_in("box", one, person.typed(), None, person.say)
        assert is_signed_in(tmp_path, state)


def test_no_browser_takes_over_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(signing.sys, "platform", "linux")
    assert not signing.open_in_browser("http://127.0.0.1:1/")
