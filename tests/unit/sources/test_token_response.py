"""What a token endpoint says of a sign-in: until when, as whom, and why not."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from stages.sources.http.token_response import (
    MAX_REFRESH_LIFETIME,
    read_token_error,
    read_token_response,
)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ('"refresh_expires_in": 1800', 1800.0),
        ('"refresh_expires_in": "1800"', 1800.0),
        ('"refresh_token_expires_in": 7776000.0', 7776000.0),
        ('"x_refresh_token_expires_in": 8726400', 8726400.0),
        ('"refresh_expires_in": null, "refresh_token_expires_in": 60', 60.0),
        *(
            (f'"refresh_expires_in": {odd}', None)
            for odd in (
                *("0", "-1", "null", '""', "true", "{}", '"soon"', "NaN", "Infinity", "1e999"),
                str(MAX_REFRESH_LIFETIME * 2),
            )
        ),
        ('"expires_in": 300', None),
    ],
)
def test_the_end_of_a_sign_in_is_read_in_any_usual_spelling(
    stated: str, expected: float | None
) -> None:
    answer = f'{{"access_token": "t", {stated}}}'
    assert read_token_response(answer.encode()).refresh_lifetime == expected


def id_token(claims: Any) -> str:
    encoded = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{encoded}.signature"


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (id_token({"sub": "4711", "preferred_username": "jan"}), "jan"),
        (id_token({"sub": "4711", "email": "jan@firm.example", "name": "Jan"}), "jan@firm.example"),
        (id_token({"sub": "4711", "preferred_username": "  "}), "4711"),
        (id_token({"preferred_username": "a\u202eb\x1b[2J"}), "a b [2J"),
        (id_token({"preferred_username": 7}), ""),
        (id_token({}), ""),
        (id_token([]), ""),
        ("e30.%%%.x", ""),
        ("e30", ""),
        ("", ""),
        ("e30." + "A" * 50_000 + ".x", ""),
    ],
)
def test_the_account_is_what_an_id_token_tells(token: str, expected: str) -> None:
    answer = json.dumps({"access_token": "t", "id_token": token}).encode()
    granted = read_token_response(answer)
    assert (granted.access_token, granted.account) == ("t", expected)


def test_an_account_has_no_end_of_letters() -> None:
    answer = json.dumps({"access_token": "t", "id_token": id_token({"sub": "x" * 5000})})
    assert len(read_token_response(answer.encode()).account) < 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": "invalid_grant", "error_description": "Gone"}', ("invalid_grant", "Gone")),
        (b'{"error": "invalid_grant"}', ("invalid_grant", "invalid_grant")),
        (b'\xef\xbb\xbf{"error": " invalid_grant "}', ("invalid_grant", " invalid_grant ")),
        (b"error=invalid_client&error_description=No", ("invalid_client", "No")),
        (b'{"data": {"error": "invalid_grant"}}', ("invalid_grant", "invalid_grant")),
        (b'{"message": "Invalid"}', ("", "Invalid")),
        (b'{"error": 7, "error_description": []}', ("", "")),
        (b"<html>", ("", "")),
        (b"", ("", "")),
        (b"[" * 5000, ("", "")),
    ],
)
def test_a_refusal_is_read_in_any_usual_form(body: bytes, expected: tuple[str, str]) -> None:
    assert read_token_error(body) == expected


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"errors": [{"Code": "InvalidClient"}]}', ("InvalidClient", "InvalidClient")),
        (b'{"errors": [{"Code": "X", "Description": "Why"}]}', ("X", "Why")),
        (b'{"errors": []}', ("", "")),
        (b'{"errors": "text"}', ("", "")),
        (b'{"errors": [7]}', ("", "")),
        (b'{"error": "invalid_grant", "errors": [{"Code": "X"}]}', ("invalid_grant",) * 2),
    ],
)
def test_a_refusal_may_be_a_list_of_errors(body: bytes, said: tuple[str, str]) -> None:
    assert read_token_error(body) == said
