"""Finds the words for what is no error of ours, and keeps its traceback for support."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from pipeline.errors import InternalError, RetryableError, StateError, SynqupError

log = structlog.get_logger(__name__)


class ErrorReporter:
    """Reports what nobody has foreseen: each kind once, however often it is met."""

    def __init__(self) -> None:
        self._told: set[tuple[str, type[Exception], str, int]] = set()

    def report(self, place: str, error: Exception, subject: str = "") -> SynqupError:
        """The error that the user is told of when any exception has come out of a place.

        place: the source, stage or part that raised it. subject: what it concerns, if that is
        another thing. What is not of our hierarchy goes into the log with its traceback. Raises
        the StateError that the exception is or holds: without a ledger nothing may go on.
        """
        cause = _cause(error)
        if isinstance(cause, StateError):
            raise cause
        if isinstance(cause, SynqupError):
            return cause
        self._report(place, cause)
        if isinstance(cause, OSError):
            said = cause.strerror or str(cause) or type(cause).__name__
            path = f" ({cause.filename})" if cause.filename else ""
            return RetryableError(
                subject or place, f"the system says: {said}{path}", "It will be retried"
            )
        return InternalError(subject or place, internal_reason(cause))

    def _report(self, place: str, error: Exception) -> None:
        kind = (place, type(error), *_origin(error))
        if kind not in self._told:
            self._told.add(kind)
            log.error("unexpected error", place=place, exc_info=error)


def internal_reason(error: Exception) -> str:
    """The reason for what failed because of a bug."""
    return f"a fault of synqup's own ({type(error).__name__})"


def leaf_exceptions(error: BaseException) -> Iterator[BaseException]:
    """The exceptions of a group, and of the groups within it; an exception that is none alone."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from leaf_exceptions(one)
    else:
        yield error


def _cause(error: Exception) -> Exception:
    """Of several exceptions the one that matters most: the ledger's, then a bug."""
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
