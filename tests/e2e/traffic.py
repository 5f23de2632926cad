# SPDX-License-Identifier: BSD-2-Clause
"""Clients that ask all the time, whatever a test does meanwhile."""

import http.client
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Client(threading.Thread):
    """Does one thing after the other on one connection until it is told to stop: what, says `act`."""

    def __init__(self, port: int, number: int):
        super().__init__(daemon=True)
        self.port, self.number = port, number
        self.stopping = threading.Event()
        self.answers = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            while not self.stopping.is_set():
                self.act()
                self.answers += 1
        except (OSError, http.client.HTTPException, ValueError) as problem:
            self.wrong.append(f"after {self.answers} answers: {problem!r}")
        finally:
            self.connection.close()

    def ask(self, method: str, url: str, headers: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        self.connection.request(method, url, headers={"Host": "shop.example"} | headers)
        response = self.connection.getresponse()
        return response, response.read()

    def act(self) -> None:
        raise NotImplementedError


@contextmanager
def traffic(clients: Sequence[Client]) -> Iterator[None]:
    """From the beginning of the block to its end, however it ends."""
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join()
