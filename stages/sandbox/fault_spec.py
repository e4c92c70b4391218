"""Fault spec: one line of a script of faults; which fault, which requests, when."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta, Struct

#: What a request is about; "any" is every request except those for a sign-in or a token.
Target = Literal["list", "document", "acknowledgement", "authorization", "token", "any"]


class FaultSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """One fault of a script.

    name: one of FAULTS. on: the requests that it hits; by default those that the fault is about.
    share: of the documents or pages, which are then always hit. rate: of the attempts at each.
    where: a regular expression that has to be found in the path and query of a request.
    after, until: seconds since the sandbox was started. times, each: the largest number of hits,
    in all and for each document or page.
    seconds: of waiting, or between two bytes. hours: by which the clock is off. size: bytes that
    a small answer unpacks to. to: address of a redirect. mute: whether the list states no
    revision for a new content.
    """

    name: str
    on: Target | None = None
    share: Annotated[float, Meta(ge=0, le=1)] = 1.0
    rate: Annotated[float, Meta(ge=0, le=1)] = 1.0
    where: str = ""
    after: float = 0.0
    until: float = math.inf
    times: int | None = None
    each: int | None = None
    seconds: float = 1.0
    hours: float = 7.0
    size: int = 200_000_000
    to: str = "http://127.0.0.2:9/"
    mute: bool = False
