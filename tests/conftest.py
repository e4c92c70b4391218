"""What all tests share: the event loop, the patience of hypothesis, and the real documents."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.helpers.corpus import CORPUS

if TYPE_CHECKING:
    from pipeline.ledger.place import LedgerPlace
    from tests.crash.world import Host
    from tests.helpers.postgres import PostgresServer

# anyio imports its parts when they are first used, and pytest rewrites each of them then. Where two
# threads do so at once, CPython 3.11 may raise a SystemError.
for name in dir(anyio):
    getattr(anyio, name)

# By a proxy of this machine's environment no test would reach its servers on loopback.
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]

# How long an example takes says how busy the machine is, and nothing of the example.
settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

# structlog's own default shows the local variables of each traceback, which takes some 0.2 s.
structlog.configure(
    [
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real documents, which does not come with the project."""
    if not CORPUS.is_dir():
        pytest.skip(f"the real documents are not here: no folder {CORPUS.parent.name}/corpus")
    return CORPUS


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Worlds of synqup processes whose calls are watched; Linux only."""
    from tests.crash.world import hosting  # noqa: PLC0415 - elsewhere it can't be imported

    with hosting() as host:
        yield host


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests of this process, which none of them may stop."""
    from tests.helpers.postgres import any_postgres  # noqa: PLC0415 - few need it

    with any_postgres() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """The connection string of a fresh database on a PostgreSQL server of our own."""
    with postgres_server.database() as dsn:
        yield dsn


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> LedgerPlace:
    """Where a new ledger is to lie: each test runs with a file and with a database."""
    from pipeline.ledger.place import PostgresPlace  # noqa: PLC0415 - as above

    if request.param == "sqlite":
        return tmp_path / "ledger"
    return PostgresPlace(request.getfixturevalue("postgres"))
