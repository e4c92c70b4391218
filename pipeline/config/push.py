"""Push settings: the section [push]."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from msgspec import Struct

from pipeline.config.monitor import Address, listen_address, parse_address
from pipeline.config.types import Duration

#: Where pushes come in; the name of a source follows.
PATH = "/push/"


class PushSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """[push]: the server that platforms tell of new documents; without `listen` there is none.

    listen: address and port; each request bears a signature, so that it need not be of this machine
    alone. pause: seconds from a poll to one that comes for a push, at least; a source that bears
    less keeps to its own.
    """

    listen: Annotated[str, listen_address] = ""
    pause: Duration = Duration(5)

    @property
    def address(self) -> Address | None:
        """The address to listen at; None if there is to be no server."""
        return parse_address(self.listen) if self.listen else None

    def url_of(self, source: str) -> str:
        """Where the pushes of a source come in."""
        return f"http://{self.listen}{PATH}{quote(source, safe='')}"
