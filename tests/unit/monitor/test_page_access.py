"""Sessions are signed by what opened them, end with it, and a link is good once."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given, strategies as st

from pipeline.monitor.page.access import LINK_AGE, MAX_LINKS, OPERATOR_AGE, Access

pytestmark = pytest.mark.anyio


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Kept:
    """A token that is kept somewhere; empty: it can't be read."""

    def __init__(self, token: str) -> None:
        self.token = token

    async def key(self) -> bytes:
        return hashlib.sha256(self.token.encode()).digest() if self.token else b""

    async def is_it(self, text: str) -> bool:
        return bool(self.token) and text == self.token


async def cookie(access: Access, token: str, name: str = "") -> str:
    found = await access.sign_in(token, name)
    assert found is not None
    return found[0]


async def test_a_token_gives_its_role_and_no_other() -> None:
    access = Access(Kept("reads"), Kept("acts"))
    assert await access.sign_in("wrong") is None
    assert await access.sign_in("") is None
    reader = await access.session(await cookie(access, " reads\n"))
    operator = await access.session(await cookie(access, "acts", "Jan \u202e Peeters" + "x" * 99))
    assert reader is not None
    assert operator is not None
    assert (reader.role, reader.acts) == ("reader", False)
    assert (operator.role, operator.acts) == ("operator", True)
    assert operator.name.startswith("Jan  Peeters")
    assert len(operator.name) == 40
    assert reader.csrf
    assert operator.csrf != reader.csrf


async def test_nobody_is_let_in_without_a_token_where_there_is_one() -> None:
    access = Access(Kept("reads"), None)
    for text in ("", "x", ".", "a.b", "é.é", "W10=.x", base64.b64encode(b"[1]").decode() + ".x"):
        assert await access.session(text) is None
    opened = await Access(None, None).session("")
    assert opened is not None
    assert not opened.acts


@given(st.data())
async def test_a_cookie_that_was_changed_is_none(data: st.DataObject) -> None:
    access = Access(Kept("reads"), Kept("acts"))
    good = await cookie(access, "reads")
    index = data.draw(st.integers(0, len(good) - 1))
    changed = good[:index] + data.draw(st.characters(codec="utf-8")) + good[index + 1 :]
    found = await access.session(changed)
    # The last sign of base64 may stand for the same bytes, which are not signed then.
    assert found is None or changed == good


async def test_a_cookie_of_another_role_is_none() -> None:
    access = Access(Kept("reads"), Kept("acts"))
    text, _, mac = (await cookie(access, "reads")).rpartition(".")
    held = base64.urlsafe_b64decode(text).replace(b"reader", b"operator")
    assert await access.session(f"{base64.urlsafe_b64encode(held).decode()}.{mac}") is None


async def test_a_session_ends_with_time_and_with_its_token_and_survives_a_restart() -> None:
    clock, token = Clock(), Kept("acts")
    access = Access(None, token, clock)
    held = await cookie(access, "acts")
    again = Access(None, token, clock)
    assert (found := await again.session(held))
    assert found.acts
    token.token = ""
    assert (found := await again.session(held))
    assert not found.acts
    token.token = "rotated"
    assert (found := await again.session(held))
    assert not found.acts
    token.token = "acts"
    clock.now += OPERATOR_AGE + 1
    assert (found := await again.session(held))
    assert not found.acts


async def test_a_link_is_good_once_soon_and_in_this_process() -> None:
    clock = Clock()
    access = Access(None, None, clock)
    code = access.invite("jan")
    found = await access.redeem(code)
    assert found is not None
    session = await access.session(found[0])
    assert session is not None
    assert (session.name, session.acts) == ("jan", True)
    assert await access.redeem(code) is None
    late = access.invite("jan")
    clock.now += LINK_AGE
    assert await access.redeem(late) is None
    assert await access.redeem("") is None
    # A session that no token has opened ends with the process.
    other = await Access(None, None, clock).session(found[0])
    assert other is not None
    assert not other.acts
    first = access.invite("")
    for _ in range(MAX_LINKS):
        access.invite("")
    assert await access.redeem(first) is None
