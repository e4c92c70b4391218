"""Machine: what tells this machine from others, for the identity of a state folder.

Nothing of it identifies the machine to anybody else: numbers are kept as hashes of our own, as
machine-id(5) asks for.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

#: Where systems keep the number of their installation.
MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid")
#: What container engines put into each container.
CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")
CONTAINER_VARIABLES = ("container", "KUBERNETES_SERVICE_HOST")
#: The network devices of this machine; those of hardware have a `device`.
NETWORK_DEVICES = Path("/sys/class/net")


class Machine(Struct, frozen=True):
    """A machine.

    installation: the number of its system; empty if that is not known, or in a container, which
    has none of its own. hostname: its name, which may change. hardware: of its network cards.
    """

    installation: str
    hostname: str
    hardware: tuple[str, ...] = ()
    is_container: bool = False


def this_machine() -> Machine:
    """The machine that this process runs on."""
    is_container = _is_container()
    installation = "" if is_container else _installation()
    return Machine(installation, platform.node(), tuple(sorted(_hardware())), is_container)


def _is_container() -> bool:
    return any(map(os.path.exists, CONTAINER_FILES)) or any(
        os.environ.get(name) for name in CONTAINER_VARIABLES
    )


def _installation() -> str:
    if sys.platform == "win32":
        import winreg  # noqa: PLC0415 - it exists nowhere else

        with suppress(OSError):
            access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
            path = r"SOFTWARE\Microsoft\Cryptography"
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path, 0, access) as key:
                return _hash(str(winreg.QueryValueEx(key, "MachineGuid")[0]))
        return ""
    for name in MACHINE_ID_FILES:
        with suppress(OSError, ValueError):
            if text := Path(name).read_text("ascii").strip():
                # "uninitialized" stands there while a system is being made.
                return "" if text == "uninitialized" else _hash(text)
    return ""


def _hardware() -> Iterator[str]:
    """The hashed addresses of the network cards, without those that software has made up."""
    if sys.platform == "linux":
        with suppress(OSError):
            for device in NETWORK_DEVICES.iterdir():
                with suppress(OSError):
                    if (device / "device").exists():
                        yield _hash((device / "address").read_text("ascii").strip())
        return
    address = uuid.getnode()
    # With this bit set, no card was found and the number is a random one.
    if not address >> 40 & 1:
        yield _hash(f"{address:012x}")


def _hash(text: str) -> str:
    return hashlib.sha256(f"synqup\0{text.lower()}".encode()).hexdigest()[:16]
