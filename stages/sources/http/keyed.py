"""Keyed accounts: matches keys, each of one company, with the companies that are configured."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from pipeline.errors import PartFailed, RetryableError, SignInRefused, SourceError
from pipeline.text import FEW
from stages.settings import Company, Member
from stages.sources.http.company_keys import CompanyKey

Failure = SourceError | RetryableError


class KeyRefused(SignInRefused):
    """The key of one company is not taken: no other one is concerned."""

    reason = "the platform does not take its key"
    remedy = "Put a valid key in its place; it is read again before the next try"


class Keyed(Protocol):
    """What is asked for by one key. subject: names its company in errors."""

    subject: str

    @property
    def key(self) -> CompanyKey:
        """The key."""


L = TypeVar("L", bound=Keyed)


class Matched(Struct, Generic[L], frozen=True):
    """Keys and companies that belong together, and those that are alone.

    doubled: further keys of a company that has one already.
    """

    lanes: Sequence[tuple[Company, L]]
    unknown: Sequence[L]
    keyless: Sequence[Company]
    doubled: Sequence[tuple[Company, L]] = ()

    def only(self, companies: Collection[str] | None) -> Matched[L]:
        """The same without the companies that are not among these; None: as it is."""
        if companies is None:
            return self
        return Matched(
            [one for one in self.lanes if one[0].identifier in companies],
            self.unknown,
            [one for one in self.keyless if one.identifier in companies],
            [one for one in self.doubled if one[0].identifier in companies],
        )


def match(lanes: Sequence[L], members: Sequence[Member]) -> Matched[L]:
    """Find the company of each key: by its number, else by its name or id at the source."""
    by_number = {one.company.identifier: one.company for one in reversed(members)}
    by_name: dict[str, Company] = {}
    for one in reversed(members):
        by_name[_folded(one.company.name)] = one.company
    for one in members:
        if one.platform_id:
            by_name[_folded(one.platform_id)] = one.company
    matched: dict[str, tuple[Company, L]] = {}
    doubled: list[tuple[Company, L]] = []
    unknown: list[L] = []
    for lane in lanes:
        key = lane.key
        company = by_number.get(key.identifier) if key.identifier else None
        if company is None and not key.identifier:
            company = by_name.get(_folded(key.name))
        if company is None:
            unknown.append(lane)
        elif company.identifier in matched:
            doubled.append((company, lane))
        else:
            matched[company.identifier] = (company, lane)
    keyless = {
        one.company.identifier: one.company
        for one in members
        if one.company.identifier not in matched
    }
    return Matched(list(matched.values()), unknown, list(keyless.values()), doubled)


def mismatches(source: str, matched: Matched[L]) -> Iterable[SourceError]:
    """What to say of companies without a key of their own, or with several."""
    for company in matched.keyless:
        yield SourceError(
            f"source {source}, {company.name}",
            f"there is no key of this company ({company.identifier}), so nothing of it is fetched",
            "Write one under [[sources.keys]], or take the company from this source",
        )
    for company, lane in matched.doubled:
        yield SourceError(
            f"source {source}, {lane.key.label}",
            f"there is another key of this company ({company.identifier}); this one is not used",
            "Remove one of them from [[sources.keys]]",
        )


def failure_of(failures: Sequence[Failure], lanes: int, source: str) -> Failure:
    """The one error that tells of all companies that failed. lanes: how many there are in all.

    It concerns the whole source only where every lane has failed in the same way.
    """
    first = failures[0]
    reason = first.reason
    if others := [one.subject.removeprefix(f"source {source}, ") for one in failures[1:]]:
        more = f" and {len(others) - FEW} more" if len(others) > FEW else ""
        reason += f"; there is trouble too with {', '.join(others[:FEW])}{more}"
    if len(failures) >= lanes:
        if all(isinstance(one, SignInRefused) for one in failures):
            return KeyRefused(first.subject, reason, first.remedy)
        if all(isinstance(one, RetryableError) for one in failures):
            return first
    return PartFailed(first.subject, reason, first.remedy)


def _folded(name: str) -> str:
    return "".join(name.casefold().split())
