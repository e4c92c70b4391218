"""When a sandbox misbehaves: its script of faults.

A fault strikes by the seed, the request and how often that request has been made, so the same
faults meet the same documents in every run.
"""

from __future__ import annotations

import json
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pipeline.config.loader import LARGEST
from pipeline.errors import ConfigurationError
from pipeline.files import os_reason, read_file
from stages.sandbox.fault_spec import Planned, Target
from stages.sandbox.faults import FAULTS, Strike, cut_off
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.tokens import Tokens


class Faults:
    """The faults of one sandbox, and how often they have struck."""

    def __init__(self, planned: Iterable[Planned] = (), seed: int = 1) -> None:
        self.planned = tuple(planned)
        self.struck: Counter[str] = Counter()
        self._seed = seed
        self._began = time.monotonic()
        self._asked: Counter[tuple[int, str]] = Counter()
        self._each: Counter[tuple[int, str]] = Counter()
        self._times: Counter[int] = Counter()

    def middleware(self, tokens: Tokens, mailbox: Mailbox) -> Middleware:
        """Strikes, or lets a request pass to what answers it."""

        @web.middleware
        async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
            for number, planned in enumerate(self.planned):
                if self._strikes(number, planned, request):
                    self.struck[planned.name] += 1
                    act = FAULTS[planned.name].act
                    return await act(Strike(planned, request, handler, tokens, mailbox))
            return await handler(request)

        return strike

    def closed(self) -> Sequence[Planned]:
        """The times in which nobody listens."""
        return [one for one in self.planned if FAULTS[one.name].act is cut_off]

    def _strikes(self, number: int, planned: Planned, request: web.Request) -> bool:
        place = (number, f"{request.method} {request.path_qs}")
        now = time.monotonic() - self._began
        if (
            not _meets(planned.on or FAULTS[planned.name].on, _target(request))
            or not planned.after <= now < planned.until
            or self._drawn(planned.name, place[1]) >= planned.share
            or (planned.times is not None and self._times[number] >= planned.times)
            or (planned.each is not None and self._each[place] >= planned.each)
            or (planned.rate < 1 and not self._hits(planned, place))
        ):
            return False
        self._times[number] += 1
        if planned.each is not None:
            self._each[place] += 1
        return True

    def _hits(self, planned: Planned, place: tuple[int, str]) -> bool:
        # Which of several attempts it is, is a matter of the request and not of the hour.
        self._asked[place] += 1
        return self._drawn(planned.name, place[1], self._asked[place]) < planned.rate

    def _drawn(self, *what: object) -> float:
        digest = blake2b(repr((self._seed, *what)).encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


def read_faults(path: Path) -> list[Planned]:
    """Read a script of faults: [[faults]] in TOML, or {"faults": […]} in JSON.

    Raises ConfigurationError.
    """
    try:
        text = read_file(path, LARGEST).decode()
        raw = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        planned = msgspec.convert(raw.get("faults", []), list[Planned])
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        said = os_reason(error) if isinstance(error, OSError) else error
        raise ConfigurationError(str(path), [f"--faults: {said}"]) from None
    return [_known(one, "--faults") for one in planned]


def parse_fault(text: str) -> Planned:
    """Read NAME or NAME=RATE. Raises ConfigurationError."""
    name, _, rate = text.partition("=")
    try:
        share = float(rate or 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigurationError(text, ["--fault: write NAME, or NAME=RATE with a rate of 0 to 1"])
    return _known(Planned(name, rate=share), "--fault")


def _known(planned: Planned, option: str) -> Planned:
    if planned.name not in FAULTS:
        names = "\n".join(f"    {name}: {fault.says}" for name, fault in FAULTS.items())
        raise ConfigurationError(
            planned.name, [f'{option}: there is no fault "{planned.name}"; they are\n{names}']
        )
    return planned


def _target(request: web.Request) -> Target:
    match request.method, len(request.path.strip("/").split("/")):
        case "POST", _:
            return "token"
        case "PUT", _:
            return "acknowledgement"
        case _, 2:
            return "list"
        case _:
            return "document"


def _meets(wanted: Target, target: Target) -> bool:
    return wanted == target or (wanted == "any" and target != "token")
