"""The same work as Synqup's, by the best straightforward script: what Synqup's layers cost.

    python same_work.py LIST FOLDER COMPANIES CONNECTIONS

Each document is fetched, held against its SHA-256, parsed and given to the company that one of its
parties is; 64 at a time are written to temporary files, made durable by one syncfs(2), recorded,
renamed to their final names, none of which is overwritten, and recorded as delivered; then each is
acknowledged by a request of its own. After a crash the rows say what there is left to do.
It retries nothing, expects no hostile document, and stops at the first failure.
"""

import asyncio
import ctypes
import os
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import aiohttp
from lxml import etree

#: Name, SHA-256, bytes.
Fetched = tuple[str, str, bytes]

GROUP = 64
CAC = "{urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2}"
CBC = "{urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2}"
LIBC = ctypes.CDLL(None, use_errno=True)
RENAME_NOREPLACE, AT_FDCWD = 1, -100


def checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Store:
    def __init__(self, folder: Path, companies: set[str]) -> None:
        self.folder, self.companies = folder, companies
        self.made: set[str] = set()
        self.parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
        )
        self.temporary = folder.parent / "temporary"
        self.temporary.mkdir()
        self.volume = os.open(folder, os.O_RDONLY)
        self.db = sqlite3.connect(folder.parent / "same_work.sqlite", check_same_thread=False)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute(
            "CREATE TABLE documents (id TEXT PRIMARY KEY, state TEXT, company TEXT, kind TEXT,"
            " staged TEXT, path TEXT, sha256 TEXT, size INTEGER) WITHOUT ROWID"
        )

    def classify(self, data: bytes) -> tuple[str, str]:
        """The company and the kind, by the first party that is one of the companies."""
        if not data.startswith(b"0"):
            root = etree.fromstring(data, self.parser)
            for element, kind in (("Supplier", "sales"), ("Customer", "purchase")):
                party = root.find(f"{CAC}Accounting{element}Party/{CAC}Party")
                assert party is not None
                for identifier in party.iter(f"{CBC}EndpointID", f"{CBC}CompanyID"):
                    if (number := (identifier.text or "")[-10:]) in self.companies:
                        return number, kind
            raise ValueError("none of the parties is one of the companies")
        records = data.decode("latin-1").splitlines()
        if any(len(one) != 128 or one[0] not in "0123489" for one in records):
            raise ValueError("there are other records than those of CODA")
        if records[-1][0] != "9" or int(records[-1][16:22]) != len(records) - 2:
            raise ValueError("the statement is not whole")
        if (number := records[0][72:82]) not in self.companies:
            raise ValueError("the holder is none of the companies")
        return number, "statement"

    def deliver(self, group: list[Fetched], acknowledged: list[str]) -> None:
        """Store a group durably and record it, before and after; and those acknowledged by now."""
        rows = []
        for name, digest, data in group:
            company, kind = self.classify(data)
            folder, staged = f"{self.folder}/{company}/{kind}", f"{self.temporary}/{name}"
            if folder not in self.made:
                Path(folder).mkdir(parents=True, exist_ok=True)
                self.made.add(folder)
            descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
            os.write(descriptor, data)
            os.close(descriptor)
            rows.append((name, company, kind, staged, f"{folder}/{name}", digest, len(data)))
        checked(LIBC.syncfs(self.volume))
        with self.db:
            self.db.executemany("INSERT INTO documents VALUES (?, 'staged', ?,?,?,?,?,?)", rows)
            self.mark("acknowledged", acknowledged)
        for _, _, _, staged, path, _, _ in rows:
            old, new = os.fsencode(staged), os.fsencode(path)
            checked(LIBC.renameat2(AT_FDCWD, old, AT_FDCWD, new, RENAME_NOREPLACE))
        checked(LIBC.syncfs(self.volume))
        with self.db:
            self.mark("delivered", [name for name, *_ in rows])

    def mark(self, state: str, names: list[str]) -> None:
        rows = [(state, name) for name in names]
        self.db.executemany("UPDATE documents SET state = ? WHERE id = ?", rows)


async def fetch(
    session: aiohttp.ClientSession, left: Iterator[list[str]], fetched: asyncio.Queue[Fetched]
) -> None:
    for url, name, _, digest in left:
        async with session.get(url) as response:
            response.raise_for_status()
            data = await response.read()
        if sha256(data).hexdigest() != digest:
            raise ValueError(f"{url} is not what the list announced")
        await fetched.put((name, digest, data))


async def acknowledge(
    session: aiohttp.ClientSession, url: str, name: str, acknowledged: list[str]
) -> None:
    body = {"status": "FORWARDED", "message": ""}
    async with session.put(f"{url}/accounting-status", json=body) as response:
        response.raise_for_status()
    acknowledged.append(name)


async def main(listed: Path, folder: Path, companies: Path, connections: int) -> None:
    rows = [line.split("\t") for line in listed.read_text().splitlines()]
    urls = {row[1]: row[0] for row in rows}
    store, left = Store(folder.absolute(), set(companies.read_text().split())), iter(rows)
    fetched: asyncio.Queue[Fetched] = asyncio.Queue(2 * GROUP)
    acknowledged: list[str] = []
    loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1)
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(fetch(session, left, fetched))
        for start in range(0, len(rows), GROUP):
            group = [await fetched.get() for _ in rows[start : start + GROUP]]
            told, acknowledged[:] = acknowledged[:], []
            await loop.run_in_executor(thread, store.deliver, group, told)
            for name, *_ in group:
                tasks.create_task(acknowledge(session, urls[name], name, acknowledged))
    with store.db:
        store.mark("acknowledged", acknowledged)


if __name__ == "__main__":
    listed, folder, companies = map(Path, sys.argv[1:4])
    asyncio.run(main(listed, folder, companies, int(sys.argv[4])))
