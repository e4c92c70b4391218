"""A node of its own process that asks for an access token, as a test wants it to.

Arguments: the folder, the address of the issuer, the connection string, the seconds of a claim, and
what it does: "once", or "die" between the answer and the storing, or "stop" there until it is
continued. It prints the token, or the error.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio

from pipeline.cluster.database import Database
from pipeline.cluster.turns import NodeTurns
from pipeline.config.types import Secret
from pipeline.errors import SynqupError
from pipeline.turns import Turns
from stages.sources.http.client import HttpClient
from stages.sources.http.oauth import SignIn
from stages.sources.http.oauth_client import OAuthClient
from stages.sources.http.settings import Timeouts
from stages.sources.http.token_store import StoredSignIn, TokenStore, token_path


def client_at(url: str, folder: Path, *, by_refresh_token: bool = True) -> OAuthClient:
    """The credentials of every node at an issuer."""
    refresh = Secret(file=str(folder / "refresh")) if by_refresh_token else None
    return OAuthClient(url, "us", Secret(file=str(folder / "secret")), "openid", refresh)


def sign_in(client: OAuthClient, folder: Path, turns: Turns | None) -> tuple[SignIn, HttpClient]:
    """The sign-in of one node, which keeps its token in the shared folder."""
    http = HttpClient("box", connections=5, timeouts=Timeouts(60, 60, 60))
    return SignIn("box", client, http, token_path(folder, "box"), turns), http


async def _run(folder: Path, url: str, turns: Turns) -> str:
    one, http = sign_in(client_at(url, folder), folder, turns)
    try:
        return (await one.grant()).value
    except SynqupError as error:
        return f"{type(error).__name__}: {error}"
    finally:
        await one.close()
        await http.close()


def _before_storing(number: int) -> None:
    """Have this process get a signal when it is about to store what was answered."""
    renew = TokenStore.renew

    def interrupted(self: TokenStore, used: str | StoredSignIn, renewed: StoredSignIn) -> bool:
        print("answered", flush=True)
        os.kill(os.getpid(), number)
        return renew(self, used, renewed)

    TokenStore.renew = interrupted  # type: ignore[method-assign]


#: TerminateProcess is what SIGTERM stands for on Windows, where no signal stops a process.
NAMES = {"die": "SIGTERM" if os.name == "nt" else "SIGKILL", "stop": "SIGSTOP"}


def main() -> None:
    folder, url, dsn, claim, how = sys.argv[1:]
    if how != "once":
        _before_storing(getattr(signal, NAMES[how]))
    database = Database(dsn, "test")
    try:
        turns = NodeTurns(database, float(claim))
        print(anyio.run(_run, Path(folder), url, turns), flush=True)
    finally:
        database.close()


if __name__ == "__main__":
    main()
