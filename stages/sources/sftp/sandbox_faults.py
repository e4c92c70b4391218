"""Sandbox's faults: those of the sandbox's faults that an SFTP server can have."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

from pipeline.errors import ConfigurationError
from stages.sandbox.fault_spec import FaultSpec

#: What each does here, and the requests that it is about.
FAULTS = {
    "sign-in-refused": ("the sign-in is refused", "authorization"),
    "reset": ("the connection ends in the middle of a file", "document"),
    "forbidden": ("permission denied", "document"),
    "not-found": ("a listed file is gone", "document"),
    "no-answer": ("there is no answer", "document"),
    "slow": ("the answer comes after `seconds`", "document"),
    "growing": ("a file is half-written for `seconds`", "list"),
    "lost-acknowledgement": ("taken away, and the connection ends", "acknowledgement"),
    "ignored-acknowledgement": ("said to be taken away, and still there", "acknowledgement"),
}


class SftpFaults:
    """Decides which requests are hit. hits: how often each fault has hit, by its name."""

    def __init__(self, specs: Sequence[FaultSpec]) -> None:
        for spec in specs:
            if spec.name not in FAULTS:
                known = "\n".join(f"    {name}: {said}" for name, (said, _) in FAULTS.items())
                raise ConfigurationError(
                    spec.name, [f"--fault: an SFTP server has no such fault; it has\n{known}"]
                )
        self._specs = specs
        self._began = time.monotonic()
        self._times: Counter[int] = Counter()
        self._each: Counter[tuple[int, bytes]] = Counter()
        self._asked: Counter[tuple[int, bytes]] = Counter()
        self.hits: Counter[str] = Counter()

    def hit(self, target: str, path: bytes, *names: str) -> FaultSpec | None:
        """The first of these faults that hits a request; target: what it is about."""
        for number, spec in enumerate(self._specs):
            if spec.name in names and self._hits(number, spec, target, path):
                self._times[number] += 1
                self._each[number, path] += 1
                self.hits[spec.name] += 1
                return spec
        return None

    def _hits(self, number: int, spec: FaultSpec, target: str, path: bytes) -> bool:
        now = time.monotonic() - self._began
        self._asked[number, path] += 1
        return (
            (spec.on or FAULTS[spec.name][1]) in (target, "any")
            and spec.after <= now < spec.until
            and _drawn(spec.name, path) < spec.share
            and (spec.times is None or self._times[number] < spec.times)
            and (spec.each is None or self._each[number, path] < spec.each)
            and (spec.rate >= 1 or _drawn(spec.name, path, self._asked[number, path]) < spec.rate)
        )


def _drawn(*what: object) -> float:
    digest = blake2b(repr(what).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
