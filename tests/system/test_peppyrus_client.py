"""Tryton's client of Peppyrus against our sandbox: it lists, takes the documents, and confirms.

The client (`trytond-edocument-peppol-peppyrus`) is a tool of this test in an environment of its
own, and no dependency. SYNQUP_PEPPYRUS_CLIENT names the Python of that environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from stages.sandbox import Mailbox
from stages.sources.http.inbox import sandbox as peppol
from stages.sources.peppyrus.sandbox import key
from tests.helpers.inboxes import inbox
from tests.helpers.processes import PATIENCE

pytestmark = pytest.mark.anyio

MODULE = "trytond.modules.edocument_peppol_peppyrus.edocument"
PYTHON = os.environ.get("SYNQUP_PEPPYRUS_CLIENT", sys.executable)

#: What it needs of a database is a table of documents; all else is the client's own.
USE = f"""
import json, sys
from hashlib import sha256
from types import SimpleNamespace
import {MODULE} as client

url, key, again = sys.argv[1], sys.argv[2], sys.argv[3]
stored, asked = {{}}, []

class Document:
    def __init__(self, **values):
        self.__dict__.update(values)
    def save(self):
        stored[self.transmission_id] = [sha256(self.data).hexdigest(), self.type]
    def submit(self):
        pass
    @classmethod
    def search(cls, domain):
        (wanted,) = [value for name, _, value in domain if name == "transmission_id"]
        return [wanted] if wanted in stored else []

client.URLS["testing"] = url + "/"
client.Pool = lambda: SimpleNamespace(get=lambda name: Document)
client.Transaction = lambda: SimpleNamespace(atexit=lambda call, *values: call(*values))
methods = vars(client.PeppolService)

class Queue:
    @staticmethod
    def peppyrus_store(service, message):
        asked.append(message["id"])
        for _ in range(int(again)):
            methods["peppyrus_store"](service, message)

class Service:
    service, peppyrus_server, peppyrus_api_key = "peppyrus", "testing", key
    id, company = 1, None
    __queue__ = Queue
    _peppyrus_type = methods["_peppyrus_type"]

methods["_peppyrus_fetch"](Service())
first = list(asked)
methods["_peppyrus_fetch"](Service())
print(json.dumps({{"stored": stored, "first": first, "all": asked}}))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, "-c", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize("again", [1, 2], ids=["once", "twice"])
async def test_the_client_takes_each_document_and_confirms_it(tmp_path: Path, again: int) -> None:
    found = run(f"import {MODULE}")
    if found.returncode:
        pytest.skip(
            "Tryton's client is not installed: pip install trytond-edocument-peppol-peppyrus==8.2.0"
            " in an environment of its own, and name its Python in SYNQUP_PEPPYRUS_CLIENT"
        )
    async with inbox(tmp_path, "peppyrus", Mailbox(60, 1, seed=5)) as it:
        company = it.mailbox.companies[0]
        waiting = peppol.waiting(it.mailbox)
        own_key = key(it.mailbox, company)
        done = await anyio.to_thread.run_sync(run, USE, it.sandbox.url, own_key, str(again))
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        assert Counter(said["first"]) == Counter(one.id for one in waiting)
        # What it has confirmed has left the list.
        assert said["all"] == said["first"]
        assert peppol.waiting(it.mailbox) == []
        for one in waiting:
            digest, type_ = said["stored"][one.id]
            assert digest == sha256(peppol.content(one)).hexdigest()
            assert type_ == (None if peppol.is_answer(one) else "bis-billing-3")
        assert len(it.said("PATCH /message/")) == len(waiting) * again
        lists = set(it.said("GET /message/list"))
        assert lists == {"GET /message/list?folder=INBOX&confirmed=false&perPage=100"}
