"""Peppyrus connector: many organisations, each with a key."""

from __future__ import annotations

from pathlib import Path

from stages.sources.http.client import HttpClient
from stages.sources.http.inbox.keyed_source import KeyedAccount, KeyedInboxSource
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.peppyrus.api import PeppyrusApi, headers
from stages.sources.peppyrus.settings import Peppyrus


class PeppyrusSource(KeyedInboxSource):
    """Organisations at Peppyrus."""

    def __init__(self, settings: Peppyrus, state_dir: Path) -> None:  # noqa: ARG002 - as all
        http = HttpClient.of(settings)
        accounts = [
            KeyedAccount(
                key,
                key.identifier or key.name,
                settings.url,
                settings,
                http,
                ConcurrencyLimiter(settings.connections, settings.retries),
                (key.secret,),
                headers,
            )
            for key in settings.keys
        ]
        super().__init__(settings, PeppyrusApi(settings), http, accounts)
