"""Scrada connector: many companies, each with a key and a password."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from stages.settings import Config
from stages.sources.http.client import HttpClient
from stages.sources.http.inbox.keyed_source import KeyedAccount, KeyedInboxSource
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.request_budget import RequestBudget
from stages.sources.scrada.api import ScradaApi, headers
from stages.sources.scrada.settings import Scrada


class ScradaSource(KeyedInboxSource):
    """Companies at Scrada."""

    def __init__(self, settings: Scrada, state_dir: Path) -> None:  # noqa: ARG002 - as all
        http = HttpClient.of(settings)
        shared = _Limits(settings)
        by_key = settings.rate_limit == "key"
        accounts = []
        for key in settings.keys:
            limits = _Limits(settings) if by_key else shared
            accounts.append(
                KeyedAccount(
                    key,
                    key.company_id,
                    settings.url,
                    settings,
                    http,
                    limits.limiter,
                    (key.secret, key.password),
                    partial(headers, settings.language),
                    limits.budget.take,
                )
            )
        super().__init__(settings, ScradaApi(settings.requests_in_1m), http, accounts)
        self._by_key = by_key
        self.throttles = () if by_key else (shared.limiter,)

    def by_company(self, config: Config) -> bool:  # noqa: ARG002 - as in the contract
        """Where the limits are of all keys together, one machine has to see to them."""
        return self._by_key


class _Limits:
    """What is counted together: requests in flight, and in a span of time."""

    def __init__(self, settings: Scrada) -> None:
        self.limiter = ConcurrencyLimiter(settings.connections, settings.retries)
        limits = ((settings.requests_in_10s, 10.0), (settings.requests_in_1m, 60.0))
        self.budget = RequestBudget(limits)
