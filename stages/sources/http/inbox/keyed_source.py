"""Keyed inbox source: many companies, each with a key of its own, as the accounts of one source."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableSequence, Sequence
from typing import TypeVar

from yarl import URL

from pipeline.config.types import Secret
from pipeline.errors import RetryableError, SourceError
from pipeline.text import FEW, quoted
from stages.settings import Company, Config, members
from stages.sources.http.client import HttpClient
from stages.sources.http.company_keys import CompanyKey
from stages.sources.http.inbox.account import ApiAccount
from stages.sources.http.inbox.api import InboxApi
from stages.sources.http.inbox.source import InboxSource, Lane
from stages.sources.http.keyed import Failure, Matched, failure_of, match, mismatches
from stages.sources.http.known_companies import canonical, numbers_of
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.settings import HttpSettings

K = TypeVar("K", bound=CompanyKey)


class KeyedAccount(ApiAccount):
    """The account of one company."""

    def __init__(
        self,
        key: CompanyKey,
        id_: str,
        url: str,
        settings: HttpSettings,
        http: HttpClient,
        limiter: ConcurrencyLimiter,
        secrets: Sequence[Secret],
        headers: Callable[[Sequence[str]], Mapping[str, str]],
        pacing: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.key = key
        subject = f"source {settings.name}, {key.label}"
        super().__init__(id_, subject, URL(url), http, settings, limiter, secrets, headers, pacing)


class KeyedInboxSource(InboxSource):
    """A source whose platform gives a key to each company. accounts: one for each key."""

    def __init__(
        self,
        settings: HttpSettings,
        api: InboxApi,
        http: HttpClient,
        accounts: Sequence[KeyedAccount],
    ) -> None:
        super().__init__(settings, api, http)
        self.accounts = self._keyed = accounts
        self._matched: tuple[Config, Matched[KeyedAccount]] | None = None

    def by_company(self, config: Config) -> bool:  # noqa: ARG002 - as in the contract
        """Each key is of one company."""
        return True

    def lanes(self, config: Config) -> Sequence[Lane]:
        """The list of each company that has a key."""
        matched = self._match(config).only(self.only)
        return [Lane(account, company) for company, account in matched.lanes]

    def failure_of(self, failures: Sequence[Failure]) -> Failure:
        """One that tells of all companies that failed."""
        lanes = len(self.accounts if self.only is None else self.only)
        return failure_of(failures, lanes, self.name)

    def complaints(self, config: Config) -> Sequence[Failure]:
        """Companies without a key of their own, or with several."""
        return list(mismatches(self.name, self._match(config).only(self.only)))

    async def compared(self, config: Config, failures: MutableSequence[Failure]) -> str:
        """Whose the keys are by the configuration and by the platform, as far as that tells."""
        matched = self._match(config)
        companies = {account.id: company for company, account in matched.lanes}
        for account in self._keyed:
            try:
                found = await self._api.companies(account)
            except (SourceError, RetryableError) as error:
                # Of those whose list is read the same is said there.
                if account.id not in companies:
                    failures.append(error)
                continue
            numbers = {number for one in found or () if (number := canonical(one.identifier))}
            company = companies.get(account.id)
            if company is not None and numbers and not numbers & numbers_of(company):
                names = quoted(", ".join(dict.fromkeys(one.name for one in found or ())))
                failures.append(_of_another(account, company, names))
        count = len(self._keyed)
        said = f"{count} {'key' if count == 1 else 'keys'}"
        if matched.unknown:
            labels = [quoted(one.key.label) for one in matched.unknown]
            more = f" and {len(labels) - FEW} more" if len(labels) > FEW else ""
            said += f", left out, as no [[companies]] names them: {', '.join(labels[:FEW])}{more}"
        return f"{said}; "

    def _match(self, config: Config) -> Matched[KeyedAccount]:
        """The companies of the keys under a configuration; the latest one is remembered."""
        if self._matched is None or self._matched[0] is not config:
            self._matched = (config, match(self._keyed, members(config, self.name)))
        return self._matched[1]


def _of_another(account: KeyedAccount, company: Company, names: str) -> SourceError:
    return SourceError(
        account.subject,
        f"its key is that of {names} at the platform, and not of {company.name}"
        f" ({company.identifier})",
        "Put each company's own key in its place",
    )
