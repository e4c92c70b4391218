"""Slash redirects: follows a GET to the same address with a slash at its end, and nowhere else.

Some frameworks know an address by its slash, and redirect to it. Credentials go to no other host,
and to no other path.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager

import aiohttp
from yarl import URL

from stages.sources.http.client import status_error
from stages.sources.http.session import ApiRequest, ApiSession

REDIRECTS = (301, 302, 303, 307, 308)


class SlashGet(AbstractAsyncContextManager[aiohttp.ClientResponse]):
    """A GET request of a session, which is sent once more where only its slash was missing.

    headers, accepted: as in ApiSession.request().
    """

    def __init__(
        self,
        session: ApiSession,
        url: URL,
        *,
        subject: str,
        headers: Mapping[str, str],
        accepted: Collection[int] = (),
    ) -> None:
        self._session = session
        self._url = url
        self._subject = subject
        self._headers = headers
        self._accepted = (*REDIRECTS, *accepted)
        self._request: ApiRequest | None = None

    async def __aenter__(self) -> aiohttp.ClientResponse:
        response = await self._send(self._url)
        if response.status in REDIRECTS and (target := slash_target(self._url, response)):
            await self.__aexit__()
            response = await self._send(target)
        if response.status in REDIRECTS:
            error = await status_error(response, self._subject)
            await self.__aexit__()
            raise error
        return response

    async def __aexit__(self, *_: object) -> None:
        if self._request is not None:
            request, self._request = self._request, None
            await request.__aexit__()

    async def _send(self, url: URL) -> aiohttp.ClientResponse:
        request = self._session.request(
            "GET",
            url,
            subject=self._subject,
            headers=self._headers,
            accepted=self._accepted,
        )
        response = await request.__aenter__()
        self._request = request
        return response


def slash_target(asked: URL, response: aiohttp.ClientResponse) -> URL | None:
    """Where a redirect leads, if that is the same address with a slash; else None."""
    try:
        target = asked.join(URL(response.headers["Location"], encoded=True))
        is_same = target.origin() == asked.origin() and target.raw_query_string == (
            asked.raw_query_string
        )
    except (KeyError, ValueError):
        return None
    return target if is_same and target.raw_path == f"{asked.raw_path}/" else None
