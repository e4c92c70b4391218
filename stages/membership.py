"""Membership: which companies have documents at which source, and what the source calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from stages.settings import Company, Config


class Membership(Struct, frozen=True, forbid_unknown_fields=True):
    """A source that holds documents of a company. id: what the source itself calls the company."""

    source: str
    id: str | None = None


class Member(Struct, frozen=True):
    """A company at one of its sources. platform_id: what that source calls it, if it matters."""

    company: Company
    platform_id: str | None


def members(config: Config, source: str) -> list[Member]:
    """The companies whose documents a source holds."""
    return [
        Member(company, one.id)
        for company in config.companies
        for one in company.memberships
        if one.source == source
    ]
