"""Handlers: which action a request of the control socket is for, and with what arguments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from pipeline.control.actions import Actions
from pipeline.control.server import Handler
from pipeline.document import Key
from pipeline.errors import NotKnown
from pipeline.readable import ReadableMaker

A = TypeVar("A", bound=Struct)


class OfSource(Struct, frozen=True):
    """Arguments of poll, pause and resume. source: None for all, where that is allowed."""

    source: str | None = None


class OfDocuments(Struct, frozen=True):
    """Arguments of retry and redeliver; each as Actions has it."""

    keys: tuple[tuple[str, str, str], ...] = ()
    reason: str = ""
    company: str = ""
    first: str = ""
    last: str = ""
    into: str = ""
    wait: float = 0.0

    @property
    def named(self) -> list[Key]:
        """The documents that are named."""
        return [Key(*one) for one in self.keys]


class Assignment(Struct, frozen=True):
    """Arguments of assign."""

    key: tuple[str, str, str]
    company: str
    kind: str
    reason: str
    wait: float = 0.0


class Reading(Struct, frozen=True):
    """Arguments of readable, as ReadableMaker has them."""

    key: tuple[str, str, str]
    language: str


def handlers_of(actions: Actions) -> dict[str, Handler]:
    """What answers each request."""

    async def poll(of: OfSource, who: str) -> Any:
        return await actions.poll(of.source, who)

    async def pause(of: OfSource, who: str) -> Any:
        return await actions.pause(of.source or "", who)

    async def resume(of: OfSource, who: str) -> Any:
        return await actions.resume(of.source or "", who)

    async def retry(of: OfDocuments, who: str) -> Any:
        return await actions.retry(of.named, reason=of.reason, who=who, wait=of.wait)

    async def redeliver(of: OfDocuments, who: str) -> Any:
        return await actions.redeliver(
            of.named,
            company=of.company,
            first=of.first,
            last=of.last,
            into=of.into,
            who=who,
            wait=of.wait,
        )

    async def assign(of: Assignment, who: str) -> Any:
        return await actions.assign(Key(*of.key), of.company, of.kind, of.reason, who, wait=of.wait)

    return {
        "poll": _taking(OfSource, poll),
        "pause": _taking(OfSource, pause),
        "resume": _taking(OfSource, resume),
        "retry": _taking(OfDocuments, retry),
        "redeliver": _taking(OfDocuments, redeliver),
        "assign": _taking(Assignment, assign),
    }


def reading_handlers(readables: ReadableMaker) -> dict[str, Handler]:
    """What answers the request for a readable document; nothing is changed by it."""

    async def readable(of: Reading, _: str) -> Any:
        return await readables.readable(Key(*of.key), of.language)

    return {"readable": _taking(Reading, readable)}


def _taking(shape: type[A], do: Callable[[A, str], Awaitable[Any]]) -> Handler:
    async def handle(arguments: Mapping[str, Any], who: str) -> Any:
        try:
            read = msgspec.convert(arguments, shape)
        except msgspec.ValidationError as error:
            raise NotKnown("the request", str(error)) from None
        return await do(read, who)

    return handle
