"""Recommand settings: the [[sources]] section of kind "recommand"."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pipeline.config.loader import LoadContext
from pipeline.config.types import Secret
from stages.sources.http.settings import HttpSettings, refuse_half, web_address


class Recommand(
    HttpSettings,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="kind",
    tag="recommand",
):
    """[[sources]] of kind "recommand". A key is of a team, which may have many companies.

    url: base address of the API, with its version. api_key, api_secret: the two parts of a key;
    token: a bearer token (JWT) in place of it.
    """

    url: Annotated[str, web_address] = "https://app.recommand.eu/api/v1"
    api_key: Secret | None = None
    api_secret: Secret | None = None
    token: Secret | None = None

    def validate(self, base: Path, key: str, context: LoadContext) -> None:
        """Check that there is one way to sign in."""
        super().validate(base, key, context)
        if not context.is_valid(key, "api_key", "api_secret", "token"):
            return
        given = {"api_key": self.api_key, "api_secret": self.api_secret}
        refuse_half(given, "write both parts of the key", key, context)
        if not self.token and not any(given.values()):
            context.add_problem(
                f"{key}.api_key", "this key is missing", "write api_key and api_secret, or token"
            )
        if self.token and any(given.values()):
            context.add_problem(
                f"{key}.token",
                "there is an api_key too",
                "write the one or the other",
            )
