"""Fault injection: decides which requests of the sandbox a script of faults hits.

The decision depends on the seed, the request and how often it has been made, so the same faults
hit the same documents in every run.
"""

from __future__ import annotations

import json
import re
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pipeline.config.loader import MAX_CONFIG_BYTES
from pipeline.errors import ConfigurationError
from pipeline.files import os_reason, read_file
from stages.sandbox.fault_spec import FaultSpec, Target
from stages.sandbox.faults import FAULTS, Hit, cut_off
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.tokens import Tokens
from stages.sandbox.wire import Wire


class Faults:
    """The faults of one sandbox. hits: how often each has hit, by its name."""

    def __init__(self, specs: Iterable[FaultSpec] = (), seed: int = 1) -> None:
        self.specs = tuple(specs)
        self.hits: Counter[str] = Counter()
        self._seed = seed
        self._began = time.monotonic()
        self._asked: Counter[tuple[int, str]] = Counter()
        self._each: Counter[tuple[int, str]] = Counter()
        self._times: Counter[int] = Counter()

    def middleware(self, tokens: Tokens, mailbox: Mailbox, wire: Wire) -> Middleware:
        """Middleware that applies the first fault that hits a request, or passes it on."""

        @web.middleware
        async def inject(request: web.Request, handler: Handler) -> web.StreamResponse:
            for number, spec in enumerate(self.specs):
                if self._is_hit(number, spec, request, wire):
                    self.hits[spec.name] += 1
                    act = FAULTS[spec.name].act
                    return await act(Hit(spec, request, handler, tokens, mailbox, wire))
            return await handler(request)

        return inject

    def closed(self) -> Sequence[FaultSpec]:
        """The faults during which the server does not listen at all."""
        return [one for one in self.specs if FAULTS[one.name].act is cut_off]

    def _is_hit(self, number: int, spec: FaultSpec, request: web.Request, wire: Wire) -> bool:
        place = (number, wire.identity(request))
        now = time.monotonic() - self._began
        if (
            not _meets(spec.on or FAULTS[spec.name].on, _target(request, wire))
            or not spec.after <= now < spec.until
            or (spec.where and re.search(spec.where, request.path_qs) is None)
            or self._drawn(spec.name, place[1]) >= spec.share
            or (spec.times is not None and self._times[number] >= spec.times)
            or (spec.each is not None and self._each[place] >= spec.each)
            or (spec.rate < 1 and not self._is_drawn(spec, place))
        ):
            return False
        self._times[number] += 1
        if spec.each is not None:
            self._each[place] += 1
        return True

    def _is_drawn(self, spec: FaultSpec, place: tuple[int, str]) -> bool:
        # The number of the attempt decides, not the time.
        self._asked[place] += 1
        return self._drawn(spec.name, place[1], self._asked[place]) < spec.rate

    def _drawn(self, *what: object) -> float:
        digest = blake2b(repr((self._seed, *what)).encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


def read_faults(path: Path) -> list[FaultSpec]:
    """Read a script of faults: [[faults]] in TOML, or {"faults": […]} in JSON.

    Raises ConfigurationError.
    """
    try:
        text = read_file(path, MAX_CONFIG_BYTES).decode()
        raw = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        specs = msgspec.convert(raw.get("faults", []), list[FaultSpec])
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        said = os_reason(error) if isinstance(error, OSError) else error
        raise ConfigurationError(str(path), [f"--faults: {said}"]) from None
    return [_known(one, "--faults") for one in specs]


def parse_fault(text: str) -> FaultSpec:
    """Read NAME or NAME=RATE. Raises ConfigurationError."""
    name, _, rate = text.partition("=")
    try:
        share = float(rate or 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigurationError(text, ["--fault: write NAME, or NAME=RATE with a rate of 0 to 1"])
    return _known(FaultSpec(name, rate=share), "--fault")


def _known(spec: FaultSpec, option: str) -> FaultSpec:
    if spec.name not in FAULTS:
        names = "\n".join(f"    {name}: {fault.says}" for name, fault in FAULTS.items())
        raise ConfigurationError(
            spec.name, [f'{option}: there is no fault "{spec.name}"; they are\n{names}']
        )
    return spec


def _target(request: web.Request, wire: Wire) -> Target:
    if request.path == wire.token_path:
        return "token"
    return "authorization" if request.path == wire.authorize_path else wire.target(request)


def _meets(wanted: Target, target: Target) -> bool:
    return wanted == target or (wanted == "any" and target not in ("authorization", "token"))
