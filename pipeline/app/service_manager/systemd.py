"""systemd: installs, removes, starts and stops units by systemctl(1)."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

from pipeline.app.service_manager.checked import check
from pipeline.app.service_manager.definition import ServiceDefinition, ServiceError
from pipeline.app.service_manager.posix_account import identity_of, make_account, make_folder
from pipeline.app.service_manager.status import Password, Say, ServiceStatus
from pipeline.app.service_manager.systemd_unit import MARK, unit_text
from pipeline.durable import replace_file

DEFAULT_ACCOUNT = "synqup"
UNITS = Path("/etc/systemd/system")
#: It exists where systemd is the service manager (sd_booted(3)).
BOOTED = Path("/run/systemd/system")
_PROPERTIES = "LoadState,UnitFileState,ActiveState,StatusText,Result,ExecMainStatus,NRestarts"


class Systemd:
    """The system's units, as root."""

    def default_account(self, _: str) -> str:
        """One account for all services of ours."""
        return DEFAULT_ACCOUNT

    def describe(self, definition: ServiceDefinition) -> str:
        """The unit."""
        return unit_text(definition)

    def install(self, definition: ServiceDefinition, say: Say, _: Password, *, start: bool) -> None:
        """Make account, folders and unit where they are missing; have it started at each boot."""
        name = definition.name
        self._require_root("install")
        unit = _unit(name)
        before = _read_own(unit)
        with ExitStack() as undo:
            identity = _identity(definition, say, undo)
            for folder in definition.writable:
                if not folder.exists():
                    make_folder(folder, identity, undo)
                    say(f"made the folder {folder} for the account {definition.account}")
            check(definition, **identity)
            undo.pop_all()
        text = unit_text(definition)
        if text == before:
            say(f"{unit} is up to date")
        else:
            replace_file(unit, BytesIO(text.encode()), 0o644)
            say(f"wrote {unit}")
        _systemctl(name, "daemon-reload")
        _systemctl(name, "enable", unit.name)
        say("it is started at each boot")
        if not start:
            return
        if self.status(name).running:
            if text != before:
                _systemctl(name, "restart", unit.name)
                say(f"{name} has been started anew")
        else:
            self.start(name, say)

    def uninstall(self, name: str, say: Say) -> None:
        """Stop it and remove its unit."""
        self._require_root("uninstall")
        unit = _unit(name)
        if _read_own(unit) is None:
            say(f"there is no service {name}")
            return
        _systemctl(name, "disable", "--now", unit.name)
        unit.unlink()
        _systemctl(name, "daemon-reload")
        say(f"stopped {name} and removed {unit}")
        say("its documents, its state folder, its configuration and its account are left")

    def start(self, name: str, say: Say) -> None:
        """Start it, and wait for its READY."""
        self._require_installed(name, "start")
        try:
            _systemctl(name, "start", f"{name}.service")
        except ServiceError:
            said = self.status(name).sentence
            raise ServiceError(
                f"service {name}", f"it has not started: {said}", f"See journalctl -u {name}"
            ) from None
        say(self.status(name).sentence)

    def stop(self, name: str, say: Say) -> None:
        """Stop it."""
        self._require_installed(name, "stop")
        _systemctl(name, "stop", f"{name}.service")
        say(f"{name} is stopped")

    def status(self, name: str) -> ServiceStatus:
        """What systemctl shows of it."""
        _require_systemd()
        shown = _systemctl(name, "show", f"{name}.service", f"--property={_PROPERTIES}")
        values = dict(line.partition("=")[::2] for line in shown.splitlines())
        return _status(name, values)

    def _require_installed(self, name: str, what: str) -> None:
        self._require_root(what)
        if not self.status(name).installed:
            raise ServiceError(
                f"service {name}", "it is not installed", "Run `synqup service install` first"
            )

    def _require_root(self, what: str) -> None:
        _require_systemd()
        if os.geteuid() != 0:
            raise ServiceError(
                "service",
                f"to {what} a service of this machine needs the rights of root",
                f"Run: sudo synqup service {what} ...",
            )


def _require_systemd() -> None:
    if not BOOTED.is_dir() or shutil.which("systemctl") is None:
        raise ServiceError(
            "service",
            "this machine is not run by systemd",
            "`synqup service print` shows the unit; in a container, see deploy/Containerfile",
        )


def _identity(definition: ServiceDefinition, say: Say, undo: ExitStack) -> dict[str, object]:
    """The identity of the account, which is made if it is the one of our own and missing."""
    account = definition.account
    identity = identity_of(account)
    if identity is None and account == DEFAULT_ACCOUNT:
        make_account(account, undo)
        say(f"made the account {account}, to which nobody can sign in")
        identity = identity_of(account)
    if identity is None:
        raise ServiceError(
            f"account {account}", "there is no such account", "Make it, or name another one"
        )
    return identity


def _status(name: str, values: dict[str, str]) -> ServiceStatus:
    active = values.get("ActiveState", "")
    if values.get("LoadState") != "loaded":
        return ServiceStatus(False, False, f"{name} is not installed")
    boot = "" if values.get("UnitFileState") == "enabled" else "; it is not started at boot"
    words = values.get("StatusText", "")
    said = f": {words}" if words else ""
    if active in ("active", "reloading"):
        restarts = values.get("NRestarts", "0")
        again = "" if restarts == "0" else f"; started again {restarts} times after failures"
        return ServiceStatus(True, True, f"{name} runs{said}{again}{boot}")
    if active in ("activating", "deactivating"):
        doing = "is starting" if active == "activating" else "is stopping"
        return ServiceStatus(True, False, f"{name} {doing}{said}{boot}")
    result, code = values.get("Result", "success"), values.get("ExecMainStatus", "0")
    why = ""
    if result != "success":
        why = f": it failed ({result}, exit status {code}); see journalctl -u {name}"
    return ServiceStatus(True, False, f"{name} is stopped{why}{boot}")


def _unit(name: str) -> Path:
    return UNITS / f"{name}.service"


def _read_own(unit: Path) -> str | None:
    """The unit if it is one of ours, None if there is none. ServiceError if it is another's."""
    try:
        text = unit.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ServiceError(str(unit), f"the unit can't be read ({error.strerror})") from None
    if MARK not in text:
        raise ServiceError(
            str(unit),
            "there is a unit of this name that `synqup service` has not made",
            "Remove it (systemctl disable --now, then the file), or give --name another one",
        )
    return text


def _systemctl(name: str, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - the name has been checked
        ["systemctl", "--no-pager", "--quiet", *arguments],  # noqa: S607 - wherever it lies
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"systemctl ended with {done.returncode}"
        raise ServiceError(f"service {name}", f"systemctl {arguments[0]}: {said.rstrip('.')}")
    return done.stdout
