"""Billit's webhooks: whether a push is Billit's, and not an old one.

How it is known: by Billit's pages. Header `Billit-Signature: t=<unix time>,s=<hexadecimal>`, an
HMAC-SHA256 with the webhook's secret over `<t>.<body>`. The body says which entity was updated; it
is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.hints import PushRefused, PushRequest
from pipeline.push.inbox import hexadecimal, is_hmac_sha256

HEADER = "Billit-Signature"
#: A part of the header.
_PART = re.compile(r"\s*([A-Za-z]+)\s*=\s*([0-9A-Fa-f]+)\s*")
#: Digits of a time, at most: it is a number of seconds.
MAX_DIGITS = 12


def is_signed(request: PushRequest, secrets: Sequence[bytes], max_age: float) -> bool:
    """Whether a push is signed by one of some secrets; as Verify. max_age: in seconds."""
    parts = [_PART.fullmatch(one) for one in request.headers.get(HEADER.lower(), "").split(",")]
    said = [(one[1].lower(), one[2]) for one in parts if one is not None]
    times = [text for name, text in said if name == "t"]
    digests = [digest for name, text in said if name == "s" and (digest := hexadecimal(text))]
    if len(times) != 1 or not times[0].isdecimal() or len(digests) != 1:
        raise PushRefused(HEADER, f"it has no {HEADER} with a time and a digest")
    if len(times[0]) > MAX_DIGITS or abs(request.came_at - int(times[0])) > max_age:
        raise PushRefused(
            HEADER,
            "it was signed too long ago, or the clocks differ",
            "Set the clock of this machine; see push_max_age of the source",
            is_signed=True,
        )
    return is_hmac_sha256(times[0].encode() + b"." + request.body, digests[0], secrets)
