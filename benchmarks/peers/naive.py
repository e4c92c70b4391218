"""The script that most people would write: aiohttp, gather with a semaphore, aiofiles."""

import asyncio
import sys
from pathlib import Path

import aiofiles
import aiohttp


async def fetch(
    session: aiohttp.ClientSession, limit: asyncio.Semaphore, url: str, path: Path
) -> None:
    async with limit, session.get(url) as response:
        response.raise_for_status()
        data = await response.read()
        async with aiofiles.open(path, "wb") as file:
            await file.write(data)


async def main(listed: Path, folder: Path) -> None:
    limit = asyncio.Semaphore(16)
    rows = [line.split("\t") for line in listed.read_text().splitlines()]
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(fetch(session, limit, row[0], folder / row[1]) for row in rows))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
