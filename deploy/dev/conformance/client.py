"""Runs the Python SDK's conformance client, which the suite starts with the URL of the server that it plays.

Where the environment names a detour, the client is led to that URL instead, with a bearer token on what it sends there,
and what arrives at the detour's end goes on to the suite's server, byte for byte.

  CONFORMANCE_CLIENT   the client's file
  CONFORMANCE_DETOURS  {PATH: URL} for each path that the suite's server may be at; empty or absent for none
  CONFORMANCE_END      the port to which the detour leads
  CONFORMANCE_TOKEN    the token
"""

import asyncio
import json
import os
import runpy
import sys
import threading
from urllib.parse import urlparse

import httpx2


def pass_on(end: int, server: int) -> None:
    """Joins each connection to the port `end` with one to the port `server`, as long as this process lives."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection("localhost", server)
        await asyncio.gather(pump(reader, onward[1]), pump(onward[0], writer))

    listening = threading.Event()

    async def serve() -> None:
        async with await asyncio.start_server(join, "127.0.0.1", end) as listener:
            listening.set()
            await listener.serve_forever()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    if not listening.wait(10):
        sys.exit("the detour's end cannot be listened on")


def bear(origin: str, token: str) -> None:
    """Puts the token on every request to that origin, and on no other."""
    send = httpx2.AsyncClient.send

    async def send_with_token(self, request, **options):
        if f"{request.url.scheme}://{request.url.netloc.decode()}" == origin:
            request.headers["authorization"] = f"Bearer {token}"
        return await send(self, request, **options)

    httpx2.AsyncClient.send = send_with_token


server = urlparse(sys.argv[-1])
detours = json.loads(os.environ.get("CONFORMANCE_DETOURS") or "{}")
if detours:
    detour = detours[server.path or "/"]
    entrance = urlparse(detour)
    pass_on(int(os.environ["CONFORMANCE_END"]), server.port)
    bear(f"{entrance.scheme}://{entrance.netloc}", os.environ["CONFORMANCE_TOKEN"])
    sys.argv[-1] = detour
sys.argv[:1] = [os.environ["CONFORMANCE_CLIENT"]]
runpy.run_path(sys.argv[0], run_name="__main__")
