"""Runs a command beside a PostgreSQL server, whose port the environment tells it.

    python -m tests.windows.beside COMMAND [ARGUMENT]...

Programs under Wine reach it on loopback; they could not start it. Without PostgreSQL here the
command runs all the same, and the tests that need a server say why they are skipped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.helpers.postgres import GIVEN, missing, running_postgres


def main() -> None:
    """Run it, and end with its status."""
    command = sys.argv[1:]
    # So that the server is stopped as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if why := missing():
        print(f"no PostgreSQL for programs under Wine: {why}", file=sys.stderr)
        sys.exit(subprocess.call(command, env=os.environ | {GIVEN: ""}))
    with running_postgres() as server:
        status = subprocess.call(command, env=os.environ | {GIVEN: str(server.port)})
    sys.exit(status)


if __name__ == "__main__":
    main()
