"""Scrada settings: the [[sources]] section of kind "scrada", and its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from msgspec import structs

from pipeline.config.loader import LoadContext
from pipeline.config.types import Secret, above_zero, not_blank, one_of
from stages.sources.http.company_keys import CompanyKey, check_keys, located_keys
from stages.sources.http.settings import HttpSettings, web_address


def count(number: int) -> int:
    """Check a number of requests. Raises ValueError."""
    if number < 0:
        raise ValueError("write how many, or 0 for any number")
    return number


class ScradaKey(CompanyKey, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[sources.keys]]: the key of one company. company_id: of it at Scrada, as addresses have it.

    secret, password: the two parts of the key.
    """

    company_id: Annotated[str, not_blank]
    password: Secret


class Scrada(
    HttpSettings,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="kind",
    tag="scrada",
):
    """[[sources]] of kind "scrada". What Scrada does not publish is a setting here.

    keys: one for each company. url: base address of the API, with its version. language: of what
    Scrada says of errors.
    requests_in_10s, requests_in_1m: how many requests Scrada takes; 0 for any number. rate_limit:
    whether they are counted for each key, or for all of an address together.
    """

    keys: tuple[ScradaKey, ...]
    url: Annotated[str, web_address] = "https://api.scrada.be/v1"
    language: Annotated[str, one_of("EN", "NL", "FR")] = "EN"
    requests_in_10s: Annotated[int, count] = 10
    requests_in_1m: Annotated[int, count] = 60
    rate_limit: Annotated[str, one_of("key", "address")] = "key"
    # More only wait for their turn.
    connections: Annotated[int, above_zero] = 32

    def validate(self, base: Path, key: str, context: LoadContext) -> None:
        """Check that each key says whose it is, and that no two are of one company."""
        super().validate(base, key, context)
        if not context.is_valid(key, "keys"):
            return
        check_keys(self.keys, key, context)
        seen: dict[str, int] = {}
        for number, one in enumerate(self.keys, 1):
            place = f"{key}.keys[{number}]"
            if one is None or not context.is_valid(place, "company_id"):
                continue
            if (first := seen.setdefault(one.company_id, number)) != number:
                context.add_problem(
                    f"{place}.company_id",
                    f"keys[{first}] has the same; each company has a key of its own",
                    "remove or correct one of them",
                )

    def located(self, base: Path) -> Self:
        """The same section with its paths, and those of its keys, absolute."""
        found = super().located(base)
        return structs.replace(found, keys=located_keys(found.keys, base))
