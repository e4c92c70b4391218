"""Alert settings: the section [alerts], who is told, and of what."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from msgspec import Struct, field, structs

from pipeline.alerts.addresses import (
    header_name,
    header_value,
    host_name,
    is_loopback,
    mail_address,
    template,
    web_address,
)
from pipeline.config.loader import POINTER, LoadContext
from pipeline.config.types import (
    Duration,
    Secret,
    Size,
    above_zero,
    absolute,
    at_least_one_second,
    not_blank,
    one_of,
)
from pipeline.files import check_file, os_reason
from pipeline.language.codes import DEFAULT, LOCALES
from pipeline.network.proxy import NONE, SYSTEM, ProxySettings, proxy_setting, proxy_user
from pipeline.network.trust import LARGEST_CA_FILE

#: All that can be told of, as `causes` names it.
CAUSES = (
    "source",
    "folder",
    "state",
    "stuck",
    "disk",
    "ended",
    "sign-in",
    "quarantine",
    "quiet",
    "node",
    "configuration",
    "overdue",
    "summary",
)
Causes = tuple[Annotated[str, one_of(*CAUSES)], ...]
LanguageCode = Annotated[str, one_of(*LOCALES)]

HEALTHCHECKS, TEMPLATE = "healthchecks", "template"
STARTTLS, TLS, PLAIN = "starttls", "tls", "plain"
#: The usual ports (RFC 8314, 3.3; RFC 6409, 3.1; RFC 5321, 4.5.4.2).
PORTS = {STARTTLS: 587, TLS: 465, PLAIN: 25}

S = TypeVar("S", bound=Struct)


def _port(port: int) -> int:
    if not 0 < port < 65536:
        raise ValueError("a port is a number from 1 to 65535")
    return port


def _hour(hour: int) -> int:
    if not 0 <= hour < 24:
        raise ValueError("an hour is a number from 0 to 23")
    return hour


class HeartbeatSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """[[alerts.heartbeats]]: an address that is called after each good poll.

    url, or url_secret where the address itself is kept secret. style: "healthchecks" (/start,
    /fail and the exit status are added to the path), or "template" ({status} and {message} are
    filled in).
    """

    url: Annotated[str, web_address] = ""
    url_secret: Secret | None = None
    style: Annotated[str, one_of(HEALTHCHECKS, TEMPLATE)] = HEALTHCHECKS


class MailSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """[alerts.mail]: messages by SMTP.

    security: "starttls", "tls" from the first byte, or "plain"; the last one only to this machine,
    unless allow_plain. port: by default that of the security. causes, language: by default those of
    [alerts].
    """

    host: Annotated[str, host_name]
    sender: Annotated[str, mail_address] = field(name="from")
    to: tuple[Annotated[str, mail_address], ...]
    port: Annotated[int, _port] | None = None
    security: Annotated[str, one_of(*PORTS)] = STARTTLS
    user: str = ""
    password: Secret | None = None
    allow_plain: bool = False
    causes: Causes = ()
    language: LanguageCode | None = None


class WebhookSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """[[alerts.webhooks]]: messages by POST, as JSON.

    name: for the log and for what waits to be sent. shape: of the JSON. url, url_secret, causes and
    language: as above. headers, secret_headers: of each request.
    """

    name: Annotated[str, not_blank]
    url: Annotated[str, web_address] = ""
    url_secret: Secret | None = None
    shape: Annotated[str, one_of("plain", "slack", "teams")] = "plain"
    headers: dict[Annotated[str, header_name], Annotated[str, header_value]] = {}
    secret_headers: dict[Annotated[str, header_name], Secret] = {}
    causes: Causes = ()
    language: LanguageCode | None = None


class AlertSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """[alerts]: who is told when something goes wrong, and when it is over; by default nobody.

    name: of this installation, in each message; by default that of the machine. language: of the
    messages. causes: of what is told; by default of all.
    grace: how long a source or a folder has failed before that is told.
    gather: how long quarantined documents are gathered into one message. stuck: how long nothing
    moves before that is told. quiet_company: after how long without documents a company that
    usually gets some is told of. disk_free: bytes below which a disk is told of. summary:
    "daily", "weekly" (on Mondays) or "never", at summary_hour of this machine's time.
    proxy, proxy_user, proxy_password, ca_file: as in [[sources]].
    """

    name: str = ""
    heartbeats: tuple[HeartbeatSettings, ...] = ()
    mail: MailSettings | None = None
    webhooks: tuple[WebhookSettings, ...] = ()
    causes: Causes = CAUSES
    language: LanguageCode = DEFAULT
    grace: Annotated[Duration, at_least_one_second] = Duration(600)
    gather: Annotated[Duration, at_least_one_second] = Duration(1800)
    stuck: Annotated[Duration, at_least_one_second] = Duration(900)
    quiet_company: Annotated[Duration, above_zero] = Duration(14 * 86_400)
    disk_free: Size = Size(2_000_000_000)
    summary: Annotated[str, one_of("daily", "weekly", "never")] = "weekly"
    summary_hour: Annotated[int, _hour] = 8
    proxy: Annotated[str, proxy_setting] = SYSTEM
    proxy_user: Annotated[str, proxy_user] = ""
    proxy_password: Secret | None = None
    ca_file: Path | None = None

    @property
    def tells(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self.heartbeats or self.has_channels)

    @property
    def has_channels(self) -> bool:
        """Whether anybody gets messages."""
        return bool(self.mail or self.webhooks)

    @property
    def proxy_settings(self) -> ProxySettings:
        """How every request goes out."""
        return ProxySettings(self.proxy, self.proxy_user, self.proxy_password, "[alerts]")

    def located(self, base: Path) -> AlertSettings:
        """The same section with its paths, and those of its secrets, absolute."""
        return _located(self, base)


def check_alerts(raw: object, base: Path, context: LoadContext) -> None:
    """Report what is wrong with [alerts] beyond its single values. base: the file's folder.

    raw: the section as it is written, None if it is not.
    """
    for key, alerts in context.structs(AlertSettings):
        named = {"heartbeats", "mail", "webhooks"}
        if isinstance(raw, dict) and not named & raw.keys():
            context.add_problem(
                key,
                "this tells nobody",
                "write [alerts.mail], [[alerts.webhooks]] or [[alerts.heartbeats]]",
            )
        _check_proxy(key, alerts, context)
        _check_ca_file(key, alerts, base, context)
    for key, mail in context.structs(MailSettings):
        _check_mail(key, mail, context)
    for key, beat in context.structs(HeartbeatSettings):
        _check_url(key, beat, context)
        if beat.url and beat.style == TEMPLATE and context.is_valid(key, "url", "style"):
            _report(context, f"{key}.url", template, beat.url)
        elif beat.url and context.is_valid(key, "url", "style") and "{" in beat.url:
            context.add_problem(
                f"{key}.style", "the address holds a placeholder", f'write style = "{TEMPLATE}"'
            )
    seen: dict[str, str] = {}
    for key, hook in context.structs(WebhookSettings):
        _check_url(key, hook, context)
        if context.is_valid(key, "name") and (first := seen.setdefault(hook.name, key)) != key:
            context.add_problem(f"{key}.name", f'{first} is "{hook.name}" too', "rename one")


def _report(context: LoadContext, key: str, validate: Callable[[str], object], value: str) -> None:
    try:
        validate(value)
    except ValueError as error:
        context.add_problem(key, str(error))


def _check_url(
    key: str, section: HeartbeatSettings | WebhookSettings, context: LoadContext
) -> None:
    if not context.is_valid(key, "url", "url_secret"):
        return
    if bool(section.url) is (section.url_secret is not None):
        what = "this is given twice" if section.url else "this key is missing"
        context.add_problem(
            f"{key}.url", what, f'write url = "https://…", or as url_secret where it is: {POINTER}'
        )


def _check_mail(key: str, mail: MailSettings, context: LoadContext) -> None:
    if context.is_valid(key, "user", "password") and bool(mail.user) is (mail.password is None):
        missing, found = ("password", "user") if mail.user else ("user", "password")
        context.add_problem(
            f"{key}.{missing}", f"this is missing, and {found} needs it", "write both or none"
        )
    if not context.is_valid(key, "security", "host", "allow_plain"):
        return
    if mail.security == PLAIN and not is_loopback(mail.host) and not mail.allow_plain:
        context.add_problem(
            f"{key}.security",
            f"the messages would travel to {mail.host} in the clear",
            f'write "{STARTTLS}" or "{TLS}"; or allow_plain = true, if that network is safe',
        )


def _check_proxy(key: str, alerts: AlertSettings, context: LoadContext) -> None:
    if not context.is_valid(key, "proxy", "proxy_user", "proxy_password"):
        return
    given = {"proxy_user": alerts.proxy_user, "proxy_password": alerts.proxy_password}
    missing = [name for name, value in given.items() if not value]
    if len(missing) == 1:
        (found,) = given.keys() - missing
        context.add_problem(
            f"{key}.{missing[0]}", f"this is missing, and {found} needs it", "write both or none"
        )
    elif not missing and alerts.proxy == NONE:
        context.add_problem(
            f"{key}.proxy",
            'this is "none", and proxy_user and proxy_password are for a proxy',
            "remove these, or write its address",
        )


def _check_ca_file(key: str, alerts: AlertSettings, base: Path, context: LoadContext) -> None:
    if alerts.ca_file is None:
        return
    path = absolute(base, alerts.ca_file)
    try:
        check_file(path, LARGEST_CA_FILE)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:  # ssl.SSLError is one
        context.add_problem(
            f"{key}.ca_file",
            f"{alerts.ca_file} can't be used ({os_reason(error)})",
            "name a readable file of certificates in PEM form",
        )


def _located(section: S, base: Path) -> S:
    return structs.replace(
        section,
        **{name: _moved(getattr(section, name), base) for name in section.__struct_fields__},
    )


def _moved(value: Any, base: Path) -> Any:
    """A value with the paths in it absolute."""
    match value:
        case Secret(file=str(path)):
            return structs.replace(value, file=str(absolute(base, path)))
        case Path():
            return absolute(base, value)
        case HeartbeatSettings() | MailSettings() | WebhookSettings():
            return _located(value, base)
        case tuple():
            return tuple(_moved(one, base) for one in value)
        case dict():
            return {name: _moved(one, base) for name, one in value.items()}
        case _:
            return value
