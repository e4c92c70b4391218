"""Recommand connector: one team, whose inbox holds the documents of all of its companies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yarl import URL

from stages.settings import Config
from stages.sources.http.client import HttpClient
from stages.sources.http.inbox.account import ApiAccount
from stages.sources.http.inbox.source import InboxSource, Lane
from stages.sources.http.keyed import Failure
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.recommand.api import RecommandApi, headers
from stages.sources.recommand.settings import Recommand


class RecommandSource(InboxSource):
    """A team at Recommand."""

    def __init__(self, settings: Recommand, state_dir: Path) -> None:  # noqa: ARG002 - as all
        http = HttpClient.of(settings)
        super().__init__(settings, RecommandApi(), http)
        secrets = [settings.token or settings.api_key, settings.api_secret]
        limiter = ConcurrencyLimiter(settings.connections, self.retries)
        self.throttles = (limiter,)
        self.accounts = [
            ApiAccount(
                "",
                f"source {settings.name}",
                URL(settings.url),
                http,
                settings,
                limiter,
                [one for one in secrets if one is not None],
                headers,
            )
        ]

    def lanes(self, config: Config) -> Sequence[Lane]:  # noqa: ARG002 - the same under each
        """The one list."""
        return [Lane(self.accounts[0])]

    def failure_of(self, failures: Sequence[Failure]) -> Failure:
        """The first one."""
        return failures[0]
