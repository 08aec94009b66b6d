"""`python -m benchmarks.web_readers ADDRESS SECRET PATH COUNT SECONDS`: open pages, as browsers keep them.

Each gets the page, holds its socket open, answers as NiceGUI's script would, and draws nothing: drawing takes place on
the readers' machines, not on the server. Prints the traffic that they received as JSON.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import aiohttp


@dataclass(slots=True)
class Sent:
    """The traffic that reached all pages together."""

    messages: int = 0
    letters: int = 0
    lost: int = 0
    """Number of connections that the service closed; the page is loaded again, as in a browser."""


async def main(address: str, secret: str, path: str, count: int, seconds: float) -> Sent:
    sent = Sent()
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address without a name
    # A socket has its own connection, as in browsers: uvicorn may close a connection that a request came by, as kept
    # alive for too long.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(address, cookie_jar=jar, connector=connector) as session:
        await (await session.post("/ui/session", data={"token": secret})).read()
        end = time.monotonic() + seconds
        await asyncio.gather(*(_reader(session, path, sent, end) for _ in range(count)))
    return sent


async def _reader(session: aiohttp.ClientSession, path: str, sent: Sent, end: float) -> None:
    while time.monotonic() < end:
        await _page(session, path, sent, end)


async def _page(session: aiohttp.ClientSession, path: str, sent: Sent, end: float) -> None:
    """Keep a page open until `end`, or until the service closes its connection."""
    async with session.get(path) as answer:
        match = re.search(r"query: (\{.*?\}),\s", await answer.text())
    assert match, "that is not a page of NiceGUI"
    query = ast.literal_eval(match[1]) | {"document_id": str(uuid.uuid4()), "tab_id": str(uuid.uuid4())}
    words = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in query.items()}
    where = f"/{urlsplit(path).path.split('/')[1]}/_nicegui_ws/socket.io/"
    async with session.ws_connect(
        where, params={"EIO": "4", "transport": "websocket", **words}, compress=15, max_msg_size=0
    ) as socket:
        got = 0
        while (seconds_left := end - time.monotonic()) > 0:
            try:
                message = (await socket.receive(timeout=seconds_left)).data
            except TimeoutError:
                return
            if not isinstance(message, str):
                sent.lost += 1
                return
            if message.startswith("0"):
                await socket.send_str("40")
            elif message == "2":
                await socket.send_str("3")
            elif message.startswith("42"):
                got += 1
                sent.messages, sent.letters = sent.messages + 1, sent.letters + len(message)
                if got % 10 == 0:
                    answer_to_socket = {"client_id": words["client_id"], "next_message_id": got}
                    await socket.send_str(f"42{json.dumps(['ack', answer_to_socket])}")


if __name__ == "__main__":
    given = sys.argv[1:]
    print(json.dumps(asdict(asyncio.run(main(given[0], given[1], given[2], int(given[3]), float(given[4]))))))
