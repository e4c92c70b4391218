"""Mail channel: sends messages by SMTP (RFC 5321), with STARTTLS (RFC 3207) or TLS (RFC 8314)."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path

import aiosmtplib
import anyio
import anyio.to_thread
import structlog

from pipeline.alerts.errors import NotSent
from pipeline.alerts.mail_errors import mail_error
from pipeline.alerts.message import OVER, PROBLEM, Message
from pipeline.alerts.requests import secret_text
from pipeline.alerts.settings import PLAIN, PORTS, STARTTLS, TLS, MailSettings
from pipeline.files import os_reason
from pipeline.language.codes import DEFAULT
from pipeline.network.trust import tls_context
from pipeline.text import sanitized

log = structlog.get_logger(__name__)

#: Seconds for each step of SMTP, and for all of them.
STEP_TIMEOUT = 20.0
TIMEOUT = 60.0
#: Characters of a subject.
MAX_SUBJECT = 200
#: The name by which the client greets: its real one, of an inside network, tells nobody anything.
HELO = "[127.0.0.1]"


class MailChannel:
    """Sends each message as one mail to all recipients."""

    name = "mail"

    def __init__(
        self,
        settings: MailSettings,
        causes: tuple[str, ...],
        ca_file: Path | None,
        language: str = DEFAULT,
    ) -> None:
        """causes, language: where the settings name none."""
        self.causes = settings.causes or causes
        self.language = settings.language or language
        self._settings = settings
        self._ca_file = ca_file

    async def send(self, message: Message) -> None:
        """Send a message. It has arrived if the server has taken it for anybody."""
        settings = self._settings
        password = None
        if settings.password is not None:
            password = await secret_text(settings.password)
        context = None
        if settings.security != PLAIN:
            context = await anyio.to_thread.run_sync(self._context, abandon_on_cancel=True)
        try:
            with anyio.fail_after(TIMEOUT):
                refused, _ = await aiosmtplib.send(
                    as_mail(message, settings),
                    sender=parseaddr(settings.sender)[1],
                    recipients=[parseaddr(one)[1] for one in settings.to],
                    hostname=settings.host,
                    port=settings.port or PORTS[settings.security],
                    username=settings.user or None,
                    password=password,
                    local_hostname=HELO,
                    timeout=STEP_TIMEOUT,
                    use_tls=settings.security == TLS,
                    start_tls=settings.security == STARTTLS,
                    tls_context=context,
                )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:  # TimeoutError is one
            failure = mail_error(error, self.name, settings.host)
        else:
            if refused:
                log.warning("recipients of alerts are refused", recipients=sorted(refused))
            return
        raise failure

    def _context(self) -> ssl.SSLContext:
        try:
            return tls_context(self._ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise NotSent(
                self.name, f"ca_file {self._ca_file} can't be used ({os_reason(error)})"
            ) from None


def as_mail(message: Message, settings: MailSettings) -> EmailMessage:
    """A message as a mail, whose id is the same however often it is sent (RFC 5322, 3.6.4)."""
    mail = EmailMessage(SMTP)
    mail["Subject"] = sanitized(f"[synqup] {message.title}", MAX_SUBJECT)
    mail["From"] = _addressed(settings.sender)
    mail["To"] = [_addressed(one) for one in settings.to]
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.at, UTC))
    domain = parseaddr(settings.sender)[1].rpartition("@")[2]
    mail["Message-ID"] = f"<{message.id}@{domain}>"
    first = f"{message.incident}-1"
    if message.state in (PROBLEM, OVER) and message.id != first:
        # So that a mail program shows all that concerns one cause together.
        mail["In-Reply-To"] = mail["References"] = f"<{first}@{domain}>"
    # No program is to answer (RFC 3834, 5).
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(message.body or message.subject, cte="quoted-printable")
    mail["Content-Language"] = message.language  # RFC 3282; set_content() removes all of content
    return mail


def _addressed(text: str) -> Address:
    name, address = parseaddr(text)
    return Address(name, addr_spec=address)
