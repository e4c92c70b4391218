"""The JSON of each kind of receiver: its limits, and names that are no markup."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st
from msgspec import structs

from pipeline.alerts.message import Message
from pipeline.alerts.shapes import SHAPES, plain, slack, teams

EVIL = "<!channel> [here](https://evil.example) *bold* <https://evil.example|x> &amp;"
TELL = Message(
    "id", "incident", "quarantine", "problem", 1.0, "office", EVIL, EVIL, EVIL, (EVIL, "b")
)


def test_plain_holds_all_fields_and_a_title() -> None:
    found = plain(TELL)
    assert found["title"] == f"office: {EVIL}"
    assert list(found["details"]) == [EVIL, "b"]
    assert set(found) == {*Message.__struct_fields__, "title"}


def test_no_name_is_markup_in_slack() -> None:
    found = slack(TELL)
    assert "<" not in found["text"]
    assert [block["text"]["type"] for block in found["blocks"]] == ["plain_text"] * 2
    assert not any(block["text"]["emoji"] for block in found["blocks"])


def test_no_name_is_markdown_in_teams() -> None:
    (attachment,) = teams(TELL)["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert card["type"] == "AdaptiveCard"
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}


@pytest.mark.parametrize("shape", SHAPES)
@given(text=st.text(st.characters(codec="utf-8"), max_size=50), times=st.integers(0, 2000))
def test_every_message_fits(shape: str, text: str, times: int) -> None:
    long = (text * times)[:4000]
    message = structs.replace(TELL, subject=long[:800], text=long, details=(long[:800],) * 34)
    found = json.dumps(SHAPES[shape](message), ensure_ascii=False)
    if shape == "teams":
        assert len(found.encode()) < 28_000
    if shape == "slack":
        for block in SHAPES[shape](message)["blocks"]:
            most = 150 if block["type"] == "header" else 3000
            assert 1 <= len(block["text"]["text"]) <= most
