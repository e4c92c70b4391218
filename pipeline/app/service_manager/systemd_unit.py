"""systemd unit: the text of the unit of one service, made for its configuration.

What each line allows or forbids is told by systemd.exec(5) and systemd.service(5).
`systemd-analyze security` rates the unit; tests hold it at 2.0 or less.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.app.service_manager.definition import ServiceDefinition

#: By this line a unit is known as one of ours.
MARK = "# Made by `synqup service install`, which writes it anew each time."
#: Seconds within which a sign of life is expected, and that a start may take without one.
WATCHDOG, START = 180, 300

#: What a service of ours never does. W^X stays with Python; the network is what it lives on.
HARDENING = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
PrivateDevices=yes
DevicePolicy=closed
PrivateMounts=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RemoveIPC=yes
KeyringMode=private
LimitCORE=0
UMask=0027"""

_PLAIN = re.compile(r"[A-Za-z0-9_@:,./+=-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def unit_text(definition: ServiceDefinition) -> str:
    """The whole unit."""
    sections = (
        _comment(definition),
        _unit_section(definition),
        _service_section(definition),
        "[Install]\nWantedBy=multi-user.target",
    )
    return "\n\n".join(sections) + "\n"


def quote(text: str | Path, *, command: bool = False) -> str:
    """A value as one word of a unit; command: of a command line, where $ has a meaning as well."""
    text = str(text).replace("%", "%%")
    if command:
        text = text.replace("$", "$$")
    if _PLAIN.fullmatch(text):
        return text
    escaped = "".join(_ESCAPES.get(one, one) for one in text)
    return f'"{escaped}"'


def _raw(text: str) -> str:
    """A value that is not divided into words, and so not quoted either."""
    return text.replace("%", "%%")


def _comment(definition: ServiceDefinition) -> str:
    name = definition.name
    return "\n".join(
        (
            MARK,
            f"# For changes of your own: systemctl edit {name}",
            f"# How safe it is: systemd-analyze security {name}",
        )
    )


def _unit_section(definition: ServiceDefinition) -> str:
    needed = _words((definition.config.parent, definition.state_dir))
    return "\n".join(
        (
            "[Unit]",
            "Description=Synqup: invoices and bank statements to the accounting package",
            "Wants=network-online.target",
            "After=network-online.target",
            f"RequiresMountsFor={needed}",
            "# However often it fails, it is started again.",
            "StartLimitIntervalSec=0",
        )
    )


def _service_section(definition: ServiceDefinition) -> str:
    command = (*definition.program, "run", "--config", str(definition.config))
    lines = [
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        f"User={_raw(definition.account)}",
        f"ExecStart={' '.join(quote(word, command=True) for word in command)}",
        f"TimeoutStartSec={START}",
        "# It is ended and started again when it shows no sign of life for so many seconds.",
        f"WatchdogSec={WATCHDOG}",
        "Restart=on-failure",
        "RestartSec=10",
        "# A configuration that can't be used stays so until someone corrects it.",
        f"RestartPreventExitStatus={definition.misconfigured}",
        "# The first SIGTERM drains for at most shutdown_grace.",
        "KillMode=mixed",
        f"TimeoutStopSec={definition.stop_timeout}",
        "Environment=PYTHONUTF8=1",
        *_secrets(definition),
        "",
        "# It writes to these folders and to nothing else.",
        "ProtectSystem=strict",
        *(f"ReadWritePaths={quote(f'-{folder}')}" for folder in definition.writable),
        *_hidden_folders(definition),
        "",
        HARDENING,
    ]
    return "\n".join(lines)


def _secrets(definition: ServiceDefinition) -> list[str]:
    lines = []
    if definition.variables:
        names = ", ".join(definition.variables)
        lines += [
            f"# Lines NAME=VALUE for {names}; for root alone (chmod 600).",
            f"EnvironmentFile={_raw(f'-{definition.environment_file}')}",
        ]
    if definition.secret_files:
        folder = f"/run/credentials/{definition.name}.service"
        lines += [
            "# To keep a secret from the account itself, give its file to root alone, take away",
            f"# the # below, and name {folder}/... in the configuration; a new",
            "# secret is then read at the next start.",
        ]
    for path in definition.secret_files:
        lines.append(f"#LoadCredential={_raw(f'{path.name}:{path}')}")
    return lines


def _hidden_folders(definition: ServiceDefinition) -> list[str]:
    """Hide homes and temporary folders of others, unless the service itself has files there."""
    used = (
        *definition.writable,
        definition.config,
        *definition.included,
        *definition.secret_files,
        *definition.installed_in,
        *(Path(word) for word in definition.program if word.startswith("/")),
    )
    in_homes = _any_in(used, ("/home", "/root", "/run/user"))
    in_temporary = _any_in(used, ("/tmp", "/var/tmp"))  # noqa: S108 - as a user may have it
    return [
        f"ProtectHome={'read-only' if in_homes else 'yes'}",
        f"PrivateTmp={'no' if in_temporary else 'yes'}",
    ]


def _any_in(paths: Iterable[Path], folders: Iterable[str]) -> bool:
    return any(path.is_relative_to(folder) for path in paths for folder in folders)


def _words(paths: Iterable[Path]) -> str:
    return " ".join(quote(path) for path in sorted(set(paths)))
