"""Failures: what goes wrong on an SSH connection, in words of Synqup's own errors.

Of SFTP: draft-ietf-secsh-filexfer-02, section 7 (status codes of version 3).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh

from pipeline.errors import (
    RetryableError,
    SignInRefused,
    SourceUnavailable,
    SourceUnreachable,
    SynqupError,
)
from pipeline.files import os_reason

#: What means that a file or a folder does not exist.
MISSING = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
#: What means that the connection is gone.
LOST = (
    asyncssh.ConnectionLost,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    asyncssh.DisconnectError,
    ConnectionError,
    BrokenPipeError,
)


class ConnectionEnded(SourceUnavailable):
    """The connection to the server has ended in the middle of something."""

    reason = "the connection has ended"
    remedy = "It will be retried; if that goes on, ask the server's operator for its limits"


class NoAnswer(SourceUnavailable):
    """The server takes longer than it may."""

    reason = "the server does not answer"


class NotPermitted(RetryableError):
    """The account may not do something with a file or a folder."""

    reason = "this account may not do that"


def sign_in_refused(subject: str, user: str, said: object) -> SignInRefused:
    """The server refuses the account's credentials."""
    return SignInRefused(
        subject,
        f"the server refuses the sign-in of {user} ({said})",
        "Check user, password and key, and that the account is not locked or limited to other"
        " addresses",
    )


@contextmanager
def connecting(subject: str, server: str, user: str) -> Iterator[None]:
    """Put into words why no connection comes about."""
    try:
        yield
    except asyncssh.PermissionDenied as error:
        raise sign_in_refused(subject, user, error.reason) from None
    except asyncssh.KeyExchangeFailed as error:
        raise SourceUnreachable(
            subject,
            f"{server} and this program have no way of encryption in common ({error.reason})",
            "Ask the server's operator to bring its SSH software up to date",
        ) from None
    except asyncssh.ProtocolError as error:
        if "authentication failures" in error.reason.lower():
            raise sign_in_refused(subject, user, error.reason) from None
        raise SourceUnavailable(
            subject, f"what answers at {server} does not speak SSH properly ({error.reason})"
        ) from None
    except asyncssh.ChannelOpenError as error:
        raise SourceUnreachable(
            subject,
            f"one can sign in at {server}, but it offers no SFTP to {user} ({error.reason})",
            "Ask its operator to permit SFTP to this account",
        ) from None
    except asyncssh.Error as error:
        raise SourceUnavailable(subject, f"{server} ended the connection ({error})") from None
    except TimeoutError:
        raise SourceUnavailable(subject, f"{server} does not answer in time") from None
    except socket.gaierror as error:
        raise SourceUnavailable(
            subject,
            f"the name {server} can't be found ({error.strerror})",
            "Check host, and the network; it will be retried",
        ) from None
    except OSError as error:
        raise SourceUnavailable(
            subject, f"{server} can't be reached ({os_reason(error)})"
        ) from None


def described(error: BaseException) -> str:
    """What a server says, or the class of a failure that says nothing."""
    return str(getattr(error, "reason", "") or error) or type(error).__name__


def in_words(error: Exception, subject: str, what: str) -> SynqupError:
    """The error of a request that has failed. what: what it was to do, as "be read"."""
    if isinstance(error, TimeoutError):
        return NoAnswer(subject, f"the server did not answer in time when it was to {what}")
    if isinstance(error, asyncssh.SFTPPermissionDenied | asyncssh.SFTPWriteProtect):
        return NotPermitted(
            subject,
            f"for this account it can't {what} ({described(error)})",
            "Ask the server's operator for the right to do so",
        )
    if isinstance(error, asyncssh.SFTPError) and not isinstance(error, LOST):
        return RetryableError(subject, f"at the server it can't {what} ({described(error)})")
    return ConnectionEnded(subject, f"the connection has ended ({described(error)})")
