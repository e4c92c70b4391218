"""A person in a browser: opens the address of a sign-in, decides on its page, and is sent back."""

from __future__ import annotations

import html
import re
from http.client import HTTPMessage
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPRedirectHandler, Request, build_opener

FIELD = re.compile(r'<input[^>]*name="([^"]+)" value="([^"]*)"')
ACTION = re.compile(r'<form[^>]*action="([^"]+)"')


class _Stay(HTTPRedirectHandler):
    """Follows nothing: a test looks at where it is sent."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def get(address: str, data: bytes | None = None) -> tuple[int, str, str]:
    """The status, the page, and the address that one is sent to."""
    try:
        with build_opener(_Stay).open(Request(address, data), timeout=60) as answer:
            return answer.status, answer.read().decode(), ""
    except HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers.get("Location", "")


def decide(address: str, decision: str = "approve", account: str = "jan@firm.example") -> str:
    """Open the page of a sign-in and press a button; returns where one is sent."""
    status, page, _ = get(address)
    assert status == 200, page
    fields = {name: html.unescape(value) for name, value in FIELD.findall(page)}
    action = ACTION.search(page)
    assert action is not None
    data = urlencode({**fields, "account": account, "decision": decision}).encode()
    status, page, sent_to = get(urljoin(address, action[1]), data)
    assert status == 303, page
    return sent_to


def shown_address(said: str) -> str:
    """The address that `sign-in` has printed; empty if it is not there yet."""
    found = re.search(r"(?m)^(https?://\S+response_type=\S+)$", said)
    return found[1] if found else ""
