"""Company at work: on whose behalf a task asks its source, for those who share out places."""

from __future__ import annotations

from contextvars import ContextVar

#: The identifier of the company whose list, document or acknowledgement a task is about. Empty
#: where its source has one company alone, or the request is for all of them.
company_at_work: ContextVar[str] = ContextVar("company_at_work", default="")

#: Stands for the company of what a source of several does not say the company of.
UNKNOWN = "?"
#: Seconds after which a request, or what it is made for, is late: its company is not to have the
#: places that others need.
LATE = 5.0
