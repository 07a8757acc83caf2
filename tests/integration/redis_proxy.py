"""A proxy before Redis that loses replies: it runs every command and cuts the connection instead of each Nth answer.

`python -m tests.integration.redis_proxy HOST PORT EVERY LOG` says its port, and appends the name of each command whose
answer it has lost to LOG.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

import hiredis

ROOT: Final = Path(__file__).resolve().parents[2]
CHUNK_BYTES: Final = 1 << 16


class Proxy:
    """Counts the replies of all connections together."""

    def __init__(self, host: str, port: int, every: int, log: Path) -> None:
        self._upstream = (host, port)
        self._every = every
        self._log = log
        self._replies = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until either side ends it, or a reply is lost."""
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.transport.abort()
            return
        asked: list[str] = []
        pumps = [
            asyncio.ensure_future(self._commands(reader, upstream_writer, asked)),
            asyncio.ensure_future(self._answers(upstream_reader, writer, asked)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            upstream_writer.transport.abort()
            writer.transport.abort()

    async def _commands(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[str]) -> None:
        parser = hiredis.Reader()
        while chunk := await reader.read(CHUNK_BYTES):
            parser.feed(chunk)
            while (command := parser.gets()) is not False:
                asked.append(command[0].decode().upper())
            writer.write(chunk)
            await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[str]) -> None:
        """Forward replies; what came together with a lost one is lost with it."""
        parser = hiredis.Reader()
        while chunk := await reader.read(CHUNK_BYTES):
            parser.feed(chunk)
            while parser.gets() is not False:
                name = asked.pop(0) if asked else "PUSH"
                self._replies += 1
                if self._replies % self._every == 0:
                    with self._log.open("a") as log:
                        log.write(f"{name}\n")
                    return
            writer.write(chunk)
            await writer.drain()


class ProxyProcess:
    """The proxy in a process of its own; `with` ends it."""

    def __init__(self, port: int, log: Path, *, every: int = 10) -> None:
        self._log = log
        self._command = [
            *(sys.executable, "-m", "tests.integration.redis_proxy"),
            *("127.0.0.1", str(port), str(every), str(log)),
        ]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = f"redis://127.0.0.1:{int(self._process.stdout.readline())}/0"
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def lost(self) -> list[str]:
        """Return the names of the commands whose replies were lost so far."""
        return self._log.read_text().split() if self._log.exists() else []


async def serve(host: str, port: int, every: int, log: Path) -> None:
    server = await asyncio.start_server(Proxy(host, port, every, log).connected, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
