"""Fetching: asks where a document lies, and gets it from there without the key."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

from msgspec import structs

from pipeline.errors import Rejected, RetryableError, SourceError, SynqupError
from pipeline.source import Announced, Entry, Incoming, StatedChecksum
from stages.sources.einvoice_be.answers import read_attachment, read_attachments, read_stored
from stages.sources.einvoice_be.api import Attachment, StoredFile
from stages.sources.einvoice_be.documents import PDF, locate
from stages.sources.einvoice_be.lanes import Lane
from stages.sources.einvoice_be.settings import EInvoiceBe
from stages.sources.http.client import HttpClient
from stages.sources.http.headers import announced
from stages.sources.http.keyed import KeyRefused
from stages.sources.http.lenient_json import JSON_ERRORS
from stages.sources.http.signed_address import EXPIRED, SignedAddresses, UnusableAddress

#: Addresses of one document that are tried, at most.
ADDRESSES = 3

SHA256 = re.compile(r"[0-9a-fA-F]{64}")
MD5 = re.compile(r"[0-9a-fA-F]{32}")


class _Nothing(SourceError):
    """The platform says that there is nothing (404)."""

    reason = "the platform does not have it"


class Fetching:
    """Fetches documents, and PDFs that are attached to them."""

    def __init__(self, settings: EInvoiceBe, http: HttpClient, storage: SignedAddresses) -> None:
        self._settings = settings
        self._http = http
        self._storage = storage

    @asynccontextmanager
    async def fetch(self, lane: Lane, entry: Entry, form: str) -> AsyncIterator[Incoming]:
        """Fetch a document or its PDF. RetryableError while there is none, Rejected after that."""
        why = ""
        for _ in range(ADDRESSES):
            stored = await self._ask(lane, entry, form)
            if not stored.signed_url:
                why = "the platform has no address of it"
                break
            try:
                async with self._storage.get(stored.signed_url, entry.label) as response:
                    if response.status not in EXPIRED:
                        stated = self._announced(announced(response), stored)
                        yield Incoming(stated, self._http.body(response, entry.label))
                        return
                    why = f"its storage answers {response.status} to each address"
            except UnusableAddress as error:
                why = error.reason
                break
        raise self._missing(entry, form, why)

    async def _ask(self, lane: Lane, entry: Entry, form: str) -> StoredFile:
        """Where a document lies, or its PDF; without an address if the platform can't tell."""
        path = f"/api/documents/{quote(locate(entry.id)[1], safe='')}"
        try:
            if not form:
                return read_stored(await lane.get(f"{path}/ubl", entry.label, missing=_Nothing))
            if form != PDF:
                raise Rejected(entry.label, f"the platform does not have it as {form}")
            return await self._pdf(lane, entry, f"{path}/attachments")
        except _Nothing:
            return StoredFile()
        except KeyRefused as error:
            # No other company's documents are concerned, so it is not said of the source.
            raise SourceError(
                entry.label, f"{lane.key.label}: {error.reason}", error.remedy
            ) from None
        except JSON_ERRORS:
            raise RetryableError(
                entry.label, "what should say where it lies is no JSON", "It will be retried"
            ) from None

    async def _pdf(self, lane: Lane, entry: Entry, path: str) -> StoredFile:
        body = await lane.get(path, entry.label, missing=_Nothing)
        pdfs = [one for one in read_attachments(body) or () if one.is_pdf]
        pdf = _best(pdfs, entry.meta.number)
        if pdf is None:
            raise Rejected(entry.label, "the platform has no PDF of it")
        if not pdf.file_url and pdf.id:
            one = f"{path}/{quote(pdf.id, safe='')}"
            pdf = read_attachment(await lane.get(one, entry.label, missing=_Nothing))
        return StoredFile(pdf.file_url or "")

    def _announced(self, said: Announced, stored: StoredFile) -> Announced:
        """What the storage states, and what the platform has stated before."""
        if self._settings.stated == "ignore":
            return said
        checksum = _checksum(stored.file_hash, certain=not said.coding)
        return structs.replace(
            said,
            checksums=said.checksums + checksum,
            length=said.length if said.length is not None or said.coding else stored.file_size,
        )

    def _missing(self, entry: Entry, form: str, why: str) -> SynqupError:
        if form:
            return Rejected(entry.label, why)
        # `created_at` is no help: that of an invoice which was drafted long ago is as old.
        waited = 0.0 if entry.first_seen is None else time.time() - entry.first_seen
        if waited < self._settings.ubl_wait:
            return RetryableError(entry.label, f"there is no UBL of it yet: {why}")
        return Rejected(
            entry.label,
            f"there is still no UBL of it, {waited / 3600:,.0f} hours after it was first listed:"
            f" {why}",
            "Ask its sender, or the platform, for the document",
        )


def _best(pdfs: list[Attachment], number: str) -> Attachment | None:
    """The PDF that is named by the number of the document, else the first."""
    wanted = "".join(filter(str.isalnum, number)).casefold()
    for one in pdfs:
        name = "".join(filter(str.isalnum, one.file_name or "")).casefold()
        if wanted and wanted in name:
            return one
    return pdfs[0] if pdfs else None


def _checksum(text: str, *, certain: bool) -> tuple[StatedChecksum, ...]:
    for pattern, algorithm in ((SHA256, "sha-256"), (MD5, "md5")):
        if pattern.fullmatch(text):
            digest = bytes.fromhex(text)
            return (StatedChecksum("file_hash", algorithm, digest, proves_damage=certain),)
    return ()
