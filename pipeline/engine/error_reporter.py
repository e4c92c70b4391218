"""Error reporter: turns any exception into an error for the user, and logs unexpected ones.

An unexpected exception is one that is not of the hierarchy in pipeline/errors.py. Its traceback
goes into the log for support, once for each place, type and line, however often it occurs.
"""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from pipeline.errors import InternalError, RetryableError, StateError, SynqupError
from pipeline.files import os_reason

log = structlog.get_logger(__name__)


class ErrorReporter:
    """Makes one SynqupError of what a source, a stage or a part of the engine has raised."""

    def __init__(self) -> None:
        self._logged: set[tuple[str, type[Exception], str, int]] = set()

    def report(self, place: str, error: Exception, subject: str = "") -> SynqupError:
        """Return the error to show to the user; log the exception if it is unexpected.

        place: the source, stage or part that raised it. subject: what it concerns, if that is not
        the place. Of an exception group the most serious member counts. An OSError becomes a
        RetryableError, a bug an InternalError. A StateError is raised, not returned: nothing may go
        on without a ledger.
        """
        cause = _most_serious(error)
        if isinstance(cause, StateError):
            raise cause
        if isinstance(cause, SynqupError):
            return cause
        self._log_once(place, cause)
        if isinstance(cause, OSError):
            path = f" ({cause.filename})" if cause.filename else ""
            return RetryableError(
                subject or place, f"the system says: {os_reason(cause)}{path}", "It will be retried"
            )
        return InternalError(subject or place, internal_reason(cause))

    def _log_once(self, place: str, error: Exception) -> None:
        kind = (place, type(error), *_origin(error))
        if kind not in self._logged:
            self._logged.add(kind)
            log.error("unexpected error", place=place, exc_info=error)


def internal_reason(error: Exception) -> str:
    """The reason of an error that is caused by a bug."""
    return f"a fault of synqup's own ({type(error).__name__})"


def leaf_exceptions(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions of a group and of its nested groups; any other exception itself."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from leaf_exceptions(one)
    else:
        yield error


def _most_serious(error: Exception) -> Exception:
    """The most serious exception of a group: a StateError first, then a bug."""
    found = [one for one in leaf_exceptions(error) if isinstance(one, Exception)]
    return min(found, key=_rank)


def _rank(error: Exception) -> int:
    order = (StateError, SynqupError, OSError)
    kind = next((one for one in order if isinstance(error, one)), None)
    return {StateError: 0, None: 1, OSError: 2, SynqupError: 3}[kind]


def _origin(error: Exception) -> tuple[str, int]:
    """The file and the line that raised it."""
    trace = error.__traceback__
    if trace is None:
        return "", 0
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename, trace.tb_lineno
