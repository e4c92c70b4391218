"""API of an inbox: what a connector says of its platform; all else is in `source.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager

from pipeline.source import Entry, Form, FoundCompany, Incoming
from stages.sources.http.inbox.account import ApiAccount
from stages.sources.http.inbox.item import Page

PDF = "pdf"


class InboxApi(ABC):
    """What a platform is asked, and how.

    platform: its name, for people. forms: in which else its invoices can be had. others: whether an
    account may hold documents of companies that are not configured, which are left there.
    """

    platform: str
    forms: tuple[Form, ...] = (Form(PDF, "application/pdf"),)
    others: bool = True

    @abstractmethod
    def pages(self, account: ApiAccount) -> AsyncGenerator[Page, None]:
        """The list of what is not confirmed, a page at a time."""

    @abstractmethod
    def fetch(
        self, account: ApiAccount, id_: str, entry: Entry, form: str
    ) -> AbstractAsyncContextManager[Incoming]:
        """A document, or its PDF; as Source.fetch()."""

    @abstractmethod
    async def confirm(self, account: ApiAccount, id_: str, subject: str) -> None:
        """Take a document off the list; no failure if that has been done before."""

    async def companies(self, account: ApiAccount) -> Sequence[FoundCompany] | None:  # noqa: ARG002 - as all
        """The companies of an account; None where that can't be asked."""
        return None

    def remark(self, total: int) -> str:  # noqa: ARG002 - some use it
        """What `check` is to say besides of so many documents that wait; "" for nothing."""
        return ""
