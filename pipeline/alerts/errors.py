"""Alert errors: a message or a heartbeat that could not be sent."""

from __future__ import annotations

from pipeline.errors import RetryableError


class NotSent(RetryableError):
    """A message that has not arrived for now. It is kept, and sent again."""

    reason = "it could not be sent"
    remedy = "It will be sent again"


class MessageRefused(NotSent):
    """A message that the receiver refuses for what it is; others may arrive."""

    reason = "the receiver refuses this message"
