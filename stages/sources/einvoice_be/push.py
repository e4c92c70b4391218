"""Webhooks of e-invoice.be: whether a push is the platform's.

How it is known: by the platform's pages, whose own example was reproduced. Header `X-Signature:
sha256=<hexadecimal>`, an HMAC-SHA256 with the webhook's secret over the event written again as
JSON: keys sorted, `, ` and `: ` between, non-ASCII escaped. No time is signed, so a push that
somebody sends again counts again; all that comes of it is a poll.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipeline.hints import PushRefused, PushRequest
from pipeline.push.inbox import hexadecimal, is_hmac_sha256

HEADER = "X-Signature"


def is_signed(request: PushRequest, secrets: Sequence[bytes]) -> bool:
    """Whether a push is signed by one of some secrets; as Verify."""
    scheme, _, digits = request.headers.get(HEADER.lower(), "").strip().partition("=")
    digest = hexadecimal(digits)
    if scheme.strip().lower() != "sha256" or digest is None:
        raise PushRefused(HEADER, f"it has no {HEADER} of SHA-256")
    message = written_again(request.body)
    return message is not None and is_hmac_sha256(message, digest, secrets)


def written_again(event: bytes) -> bytes | None:
    """An event in the form that is signed; None if it is no JSON."""
    try:
        return json.dumps(json.loads(event), sort_keys=True).encode()
    except (ValueError, RecursionError):
        return None
