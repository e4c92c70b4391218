"""Mail errors: says in words why a mail server has not taken a message."""

from __future__ import annotations

import ssl

import aiosmtplib

from pipeline.alerts.errors import MessageRefused, NotSent
from pipeline.errors import SynqupError
from pipeline.files import os_reason
from pipeline.network.connection_errors import certificate_refused
from pipeline.text import quoted


def mail_error(error: Exception, subject: str, host: str) -> SynqupError:
    """The error for a message that was not taken. host: of the server."""
    failed = next((one for one in _chain(error) if isinstance(one, ssl.SSLError)), None)
    if isinstance(failed, ssl.SSLCertVerificationError):
        return certificate_refused(failed, subject, "[alerts]")
    match error:
        case aiosmtplib.SMTPDataError() if error.code >= 500:
            return MessageRefused(subject, f"{host} refuses the mail ({_answer(error)})")
        case aiosmtplib.SMTPRecipientsRefused():
            answers = "; ".join(_answer(one) for one in error.recipients[:3])
            said = f"{host} refuses every recipient ({answers})", "Check to in [alerts.mail]"
        case aiosmtplib.SMTPResponseException():
            said = _refusal(error, host)
        case aiosmtplib.SMTPNotSupported():
            said = (
                f"{host} does not offer what is asked for ({quoted(str(error))})",
                "Check security, port and user in [alerts.mail]",
            )
        case TimeoutError():
            said = f"{host} does not answer in time", "Check host, port and the firewall"
        case aiosmtplib.SMTPException():
            said = (
                f"{host} can't be given the mail ({quoted(error.message.rstrip('.'))})",
                "Check host, port and security in [alerts.mail], and the firewall",
            )
        case _:
            why = quoted(os_reason(error)) if isinstance(error, OSError) else type(error).__name__
            said = f"the connection to {host} failed ({why})", ""
    return NotSent(subject, *said)


def _refusal(error: aiosmtplib.SMTPResponseException, host: str) -> tuple[str, str]:
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            what, remedy = "refuses the user or the password", "Check user and password"
        case aiosmtplib.SMTPSenderRefused():
            what, remedy = "refuses the sender", "Check from and user"
        case _:
            return f"{host} answers {_answer(error)}", ""
    return f"{host} {what} ({_answer(error)})", f"{remedy} in [alerts.mail]"


def _chain(error: BaseException | None) -> list[BaseException]:
    """An error and what has caused it."""
    found: list[BaseException] = []
    while error is not None and len(found) < 10:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _answer(error: aiosmtplib.SMTPResponseException) -> str:
    return quoted(f"{error.code} {error.message}".replace("\n", " "))
