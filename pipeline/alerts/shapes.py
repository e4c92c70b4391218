"""Webhook shapes: a message as the JSON that each kind of receiver expects.

Names of documents and companies come from outside: nothing of them is read as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import json, to_builtins

from pipeline.alerts.message import OVER, PROBLEM, Message
from pipeline.text import truncated

#: Characters of a header, of a section, and of a fallback (Slack: Block Kit).
SLACK_HEADER, SLACK_SECTION, SLACK_TEXT = 150, 2900, 300
#: Characters of a line of a card, and bytes of all of them: Teams takes 28 kB with the markup.
TEAMS_LINE, TEAMS_TEXT = 1000, 16_000
#: Colours of an Adaptive Card.
_COLORS = {PROBLEM: "attention", OVER: "good"}


def plain(message: Message) -> dict[str, Any]:
    """All of a message, for n8n and other programs."""
    return {"title": message.title, **to_builtins(message)}


def slack(message: Message) -> dict[str, Any]:
    """For an incoming webhook of Slack: a header and a section, as plain text."""
    title = message.title
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def text(said: str, most: int) -> dict[str, Any]:
        return {"type": "plain_text", "text": _cut(said, most), "emoji": False}

    return {
        "text": _cut(escaped, SLACK_TEXT),
        "blocks": [
            {"type": "header", "text": text(title, SLACK_HEADER)},
            {"type": "section", "text": text(message.body or title, SLACK_SECTION)},
        ],
    }


def teams(message: Message) -> dict[str, Any]:
    """For a workflow of Teams: an Adaptive Card of rich text, in which no Markdown counts."""

    def block(said: str, **style: Any) -> dict[str, Any]:
        run = {"type": "TextRun", "text": truncated(said, TEAMS_LINE), **style}
        return {"type": "RichTextBlock", "inlines": [run]}

    color = _COLORS.get(message.state, "default")
    lines = [message.text, *(f"\u2022 {one}" for one in message.details), message.remedy]
    body = [block(message.title, weight="bolder", size="medium", color=color)]
    room = TEAMS_TEXT
    for line in filter(None, lines):
        room -= len(json.encode(line[:TEAMS_LINE]))
        if room < 0:
            body.append(block("\u2026"))
            break
        body.append(block(line))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": truncated(message.title, TEAMS_LINE),
        "body": body,
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {
        "type": "message",
        "attachments": [{"contentType": kind, "contentUrl": None, "content": card}],
    }


#: The shapes by their names in the configuration.
SHAPES: Mapping[str, Callable[[Message], dict[str, Any]]] = {
    "plain": plain,
    "slack": slack,
    "teams": teams,
}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"
