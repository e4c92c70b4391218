"""Lines of a bank's text file: where they end, whatever system wrote them."""

from __future__ import annotations

from hypothesis import given, strategies as st

from pipeline.payload import Payload
from stages.formats.lines import lines

PIECES = ("ab", " ", "\t", "\r", "\n", "\r\n", "\x0b", "\x0c", "\x1c", "é", "\x85")


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_crlf_lf_and_cr_end_a_line_and_nothing_else_does(text: str) -> None:
    data = text.encode()
    ended = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found = list(lines(Payload(len(data), "", data)))
    assert found == [one for one in ended if one and not one.isspace()]


def test_what_systems_put_behind_the_last_line_is_no_line() -> None:
    for end in (b"\r\n\x1a", b"\r\n\0\0", b"\x1a\0", b"\n\0\x1a"):
        data = b"one\r\ntwo" + end
        assert list(lines(Payload(len(data), "", data))) == ["one", "two"]
