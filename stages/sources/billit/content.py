"""Content of a document: base64 in a member of JSON, with what else the answer states of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager

from pipeline.errors import Corrupt, RetryableError, SourceError, WebPage
from pipeline.source import Announced, Incoming, StatedChecksum
from pipeline.text import printable
from stages.checksums import stated_digest
from stages.sources.http import lenient_json
from stages.sources.http.client import HttpClient
from stages.sources.http.headers import HTML, media_type
from stages.sources.http.json_content import JsonContent
from stages.sources.http.session import ApiRequest

#: The members of the answer.
CONTENT, HASH, MEDIA_TYPE = "FileContent", "FileContentSHA256Hash", "MimeType"
#: The hash is of the bytes, in hexadecimal or in base64.
ALGORITHM = "sha-256"


class DocumentRequest(AbstractAsyncContextManager[Incoming]):
    """A request for a document, whose bytes are decoded as they arrive."""

    def __init__(self, request: ApiRequest, http: HttpClient, label: str) -> None:
        self._request = request
        self._http = http
        self._label = label

    async def __aenter__(self) -> Incoming:
        response = await self._request.__aenter__()
        if media_type(response) == HTML:
            # The page of a proxy, or of a platform under maintenance, says nothing of the document.
            await self._request.__aexit__()
            raise WebPage(self._label)
        content = JsonContent(self._http.body(response, self._label), CONTENT, self._label)
        incoming = Incoming(Announced(), _no_bytes())
        incoming.chunks = self._chunks(content, incoming)
        return incoming

    async def __aexit__(self, *_: object) -> None:
        await self._request.__aexit__()

    async def _chunks(self, content: JsonContent, incoming: Incoming) -> AsyncIterator[bytes]:
        try:
            async for piece in content.pieces():
                yield piece
        except (SourceError, RetryableError) as error:
            # The transfer has errors of its own; these two say that the answer is whole and bad,
            # which concerns this document alone.
            if type(error) not in (SourceError, RetryableError):
                raise
            raise Corrupt(
                error.subject, error.reason, "Look at Billit whether the document is whole there"
            ) from None
        incoming.announced = _announced(content.around)


async def _no_bytes() -> AsyncIterator[bytes]:
    return
    yield b""


def _announced(around: Mapping[str, bytes]) -> Announced:
    given = {name.lower(): value for name, value in around.items()}
    media_type = lenient_json.word(given.get(MEDIA_TYPE.lower())) or ""
    stated = lenient_json.word(given.get(HASH.lower())) or ""
    checksums: tuple[StatedChecksum, ...] = ()
    if stated.strip():
        checksums = (StatedChecksum(HASH, *stated_digest(stated, ALGORITHM)),)
    return Announced(
        media_type=printable(media_type.partition(";")[0].strip().lower()), checksums=checksums
    )
