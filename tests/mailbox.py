"""A mail server that keeps what it is sent, for tests of those who send."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

SAID = {b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


class Mailbox(socketserver.ThreadingTCPServer):
    """Takes mail at a port of its own (SMTP), whoever it is for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Caller)
        self.mails: list[EmailMessage] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def subjects(self) -> list[str]:
        return [str(mail["subject"]) for mail in self.mails]


class _Caller(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self.wfile.write(b"220 mailbox\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].upper()
            self.wfile.write(SAID.get(word, b"250 ok\r\n"))
            if word == b"DATA":
                self._take()

    def _take(self) -> None:
        lines = iter(self.rfile.readline, b".\r\n")
        self.server.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))
        self.wfile.write(b"250 kept\r\n")


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """One that stands while the block runs."""
    with Mailbox() as box:
        threading.Thread(target=box.serve_forever, daemon=True).start()
        yield box
        box.shutdown()
