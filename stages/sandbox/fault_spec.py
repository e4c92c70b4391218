"""When a fault strikes, and how hard: a line of a script of faults."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta, Struct

#: What a request is about; "any" is every one but those for a token.
Target = Literal["list", "document", "acknowledgement", "token", "any"]


class Planned(Struct, frozen=True, forbid_unknown_fields=True):
    """One fault of a script: what, of which requests, and when.

    name: one of FAULTS. on: which requests it meets; by default those it is about.
    share: of the documents or pages, which it meets always. rate: of the attempts at each.
    after, until: seconds since the sandbox began. times, each: how often it strikes at most, in
    all and for each document or page.
    seconds: of waiting, or between two bytes. hours: that the clock is off. size: bytes that a
    small answer unpacks to. to: where a redirect leads. mute: whether the list says nothing of a
    new content.
    """

    name: str
    on: Target | None = None
    share: Annotated[float, Meta(ge=0, le=1)] = 1.0
    rate: Annotated[float, Meta(ge=0, le=1)] = 1.0
    after: float = 0.0
    until: float = math.inf
    times: int | None = None
    each: int | None = None
    seconds: float = 1.0
    hours: float = 7.0
    size: int = 200_000_000
    to: str = "http://127.0.0.2:9/"
    mute: bool = False
