"""A systemd of its own as the first process of a container, with a few units and nothing else.

Its mounts, processes, control groups and users are its own: /etc, /srv and /var/lib of this machine
are not touched. The network is that of this machine. It takes root, on Linux with cgroup2.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SYSTEMD = Path("/lib/systemd/systemd")
PATIENCE = 60

TARGETS = ("try", "sysinit", "basic", "multi-user", "network-online", "shutdown")

#: Makes the container; its folder is $1, the interpreter lies below $2.
INNER = """
set -e
mount --make-rprivate /
mkdir -p "$1"/srv "$1"/lib "$1"/etc "$1"/python
cp -a /etc/. "$1"/etc
mount --bind "$1"/etc /etc
mount --bind "$1"/srv /srv
mount --bind "$1"/lib /var/lib
# An interpreter below /root, say, is made reachable for other accounts.
mount --bind "$2" "$1"/python
top=$(echo "$2" | cut -d/ -f1-2)
case "$top" in /usr|/opt|/bin|/lib) ;; *)
    mount -t tmpfs -o mode=755 tmpfs "$top"; mkdir -p "$2"; mount --bind "$1"/python "$2" ;; esac
mount -t tmpfs -o mode=755 tmpfs /run
umount -R -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /lib/systemd/system
rm -rf /etc/systemd/system; mkdir -p /etc/systemd/system
for one in {targets}; do
    printf '[Unit]\\nDefaultDependencies=no\\n' > /lib/systemd/system/$one.target
done
export container=other
exec {systemd} --system --unit=try.target --log-target=console --show-status=no
"""


class Container:
    """A running systemd. folder: of this machine; its srv/ and lib/ are /srv and /var/lib there."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.folder = folder
        self._pid = pid

    def run(self, *command: object, expect: int | None = 0) -> str:
        """Run a command there as root; return what it prints."""
        enter = ["nsenter", "-t", str(self._pid), "-m", "-p", "-C", "-i", "-u"]
        done = subprocess.run(
            [*enter, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert expect is None or done.returncode == expect, done.stdout
        return done.stdout

    def shows(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", unit, "--value", f"--property={name}").strip()


def _group() -> Path | None:
    """Where control groups of version 2 are mounted."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(point)
    return None


def lacking() -> str:
    """Why there can be no such container here; empty if there can be one."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "it takes root on Linux"
    missing = [one for one in ("unshare", "nsenter", "systemctl") if shutil.which(one) is None]
    if missing or not SYSTEMD.exists() or Path("/run/systemd/system").exists():
        return "it takes systemd, on a machine that it does not run itself"
    if _group() is None:
        return "it takes control groups of version 2"
    tried = subprocess.run(
        ["unshare", "-m", "-p", "-f", "-C", "-i", "-u", "true"], capture_output=True, check=False
    )
    return "namespaces can't be made" if tried.returncode else ""


@contextmanager
def container(folder: Path) -> Iterator[Container]:
    group = _group()
    assert group is not None
    own = group / f"synqup-test-{os.getpid()}"
    own.mkdir()
    script = folder / "inner.sh"
    script.write_text(INNER.format(targets=" ".join(TARGETS), systemd=SYSTEMD))
    join = f"echo $$ > {shlex.quote(str(own / 'cgroup.procs'))}"
    unshare = "exec unshare -m -p -f -C -i -u --mount-proc --kill-child=SIGKILL"
    command = f'{join}; {unshare} bash "$0" "$1" "$2"'
    with (folder / "systemd.log").open("wb") as log:
        outer = subprocess.Popen(
            ["bash", "-c", command, str(script), str(folder / "root"), sys.base_prefix],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield Container(folder / "root", _first_process(outer, folder / "systemd.log"))
    finally:
        outer.kill()
        outer.wait()
        _remove(own)


def _first_process(outer: subprocess.Popen[bytes], log: Path) -> int:
    """The number of the systemd, once it has reached its target."""
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and outer.poll() is None:
        for child in children.read_text().split():
            ready = subprocess.run(
                ["nsenter", "-t", child, "-m", "-p", "systemctl", "is-active", "try.target"],
                capture_output=True,
                check=False,
            )
            if ready.returncode == 0:
                return int(child)
        time.sleep(0.1)
    raise AssertionError(log.read_text(errors="replace"))


def _remove(group: Path) -> None:
    """Remove a control group and those below, once their processes have ended."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            for inner, _, _ in os.walk(group, topdown=False):
                Path(inner).rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return
