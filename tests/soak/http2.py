# SPDX-License-Identifier: BSD-2-Clause
"""A client of HTTP/2 over plain TCP, as far as the soak needs one: many streams at a time, and ways to leave them.

It asks for a header table of no size and for windows that it never fills, and takes no Huffman codes, which Varnish does
not send.
"""

import dataclasses
import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
CANCEL = 8
WINDOW = (1 << 31) - 1
# Of each direction until an update comes.
FIRST_WINDOW = 65535
FRAME = 16384

# RFC 7541, appendix A.
STATIC = """
:authority :method :method :path :path :scheme :scheme :status=200 :status=204 :status=206 :status=304 :status=400 :status=404
:status=500 accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age allow
authorization cache-control content-disposition content-encoding content-language content-length content-location
content-range content-type cookie date etag expect expires from host if-match if-modified-since if-none-match if-range
if-unmodified-since last-modified link location max-forwards proxy-authenticate proxy-authorization range referer refresh
retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate
""".split()


class Broken(OSError):
    """The server says that there will be no answer, or says what it must not."""


@dataclasses.dataclass
class Stream:
    """What has come of one answer."""

    block: bytes = b""
    body: bytes = b""
    is_over: bool = False
    is_reset: bool = False


class Connection:
    """One connection; use `start` and `finish`, or `leave`."""

    def __init__(self, port: int, timeout: float) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self.socket.makefile("rb")
        self._streams: dict[int, Stream] = {}
        self._next = 1
        # How much may be sent on all streams together.
        self._room = FIRST_WINDOW
        self._received = 0
        # SETTINGS_HEADER_TABLE_SIZE, SETTINGS_ENABLE_PUSH, SETTINGS_INITIAL_WINDOW_SIZE.
        settings = struct.pack(">HIHIHI", 1, 0, 2, 0, 4, WINDOW)
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))
        self._open_window(WINDOW - FIRST_WINDOW)

    def close(self) -> None:
        self._reader.close()
        self.socket.close()

    def has_room(self, length: int) -> bool:
        """Whether a body of that length can be sent at once."""
        return length < min(self._room, FIRST_WINDOW)

    def start(self, method: str, url: str, headers: dict[str, str], body: bytes = b"", is_whole: bool = True) -> int:
        """Sends a request, or the beginning of one; returns its stream."""
        stream, self._next = self._next, self._next + 2
        self._streams[stream] = Stream()
        fields = [(":method", method), (":scheme", "http"), (":path", url), (":authority", "shop.example")]
        fields += [(name.lower(), value) for name, value in headers.items()]
        block = b"".join(b"\0" + text(name) + text(value) for name, value in fields)
        ends = END_STREAM if is_whole and not body else 0
        self.socket.sendall(frame(HEADERS, END_HEADERS | ends, stream, block))
        for at in range(0, len(body), FRAME):
            piece = body[at : at + FRAME]
            ends = END_STREAM if is_whole and at + FRAME >= len(body) else 0
            self.socket.sendall(frame(DATA, ends, stream, piece))
        self._room -= len(body)
        return stream

    def leave(self, stream: int) -> None:
        """Takes a request back."""
        self.socket.sendall(frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL)))

    def begin(self, stream: int) -> None:
        """Reads until an answer has begun."""
        state = self._streams[stream]
        while not state.block and not state.is_over:
            self._read_frame()

    def finish(self, stream: int) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer, once it is there."""
        state = self._streams[stream]
        while not state.is_over:
            self._read_frame()
        del self._streams[stream]
        if state.is_reset:
            raise Broken("the stream was reset")
        if self._received:
            self._open_window(self._received)
            self._received = 0
        headers = dict(fields(state.block))
        return int(headers[":status"]), headers, state.body

    def _open_window(self, more: int) -> None:
        self.socket.sendall(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", more)))

    def _read_frame(self) -> None:
        head = self._exactly(9)
        length, kind, flags, number = int.from_bytes(head[:3]), head[3], head[4], int.from_bytes(head[5:])
        payload = self._exactly(length)
        if kind == SETTINGS and not flags & ACK:
            self.socket.sendall(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self.socket.sendall(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            raise Broken("the connection was ended")
        elif kind == WINDOW_UPDATE and number == 0:
            self._room += int.from_bytes(payload)
        elif kind in (DATA, HEADERS, CONTINUATION, RST_STREAM):
            self._take(self._streams.get(number) or Stream(), kind, flags, payload)

    def _take(self, state: Stream, kind: int, flags: int, payload: bytes) -> None:
        if kind == RST_STREAM:
            state.is_over = state.is_reset = True
            return
        if kind == DATA:
            self._received += len(payload)
        if flags & PADDED and kind != CONTINUATION:
            payload = payload[1 : len(payload) - payload[0]]
        if kind == DATA:
            state.body += payload
        else:
            state.block += payload[5:] if kind == HEADERS and flags & PRIORITY else payload
        state.is_over = state.is_over or bool(flags & END_STREAM and kind != CONTINUATION)

    def _exactly(self, length: int) -> bytes:
        data = self._reader.read(length)
        if len(data) < length:
            raise Broken("the connection was closed")
        return data


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def text(value: str) -> bytes:
    """A text as RFC 7541 5.2 has it, without Huffman."""
    data = value.encode("latin-1")
    if len(data) < 127:
        return bytes((len(data),)) + data
    rest, more = len(data) - 127, b""
    while rest >= 128:
        more += bytes((rest % 128 + 128,))
        rest //= 128
    return b"\x7f" + more + bytes((rest,)) + data


def fields(block: bytes) -> list[tuple[str, str]]:
    """Names and values of a block of headers."""
    found = []
    at = 0

    def number(bits: int) -> int:
        nonlocal at
        most = (1 << bits) - 1
        value, at = block[at] & most, at + 1
        if value < most:
            return value
        shift = 0
        while True:
            byte, at = block[at], at + 1
            value += (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def string() -> str:
        nonlocal at
        if block[at] & 128:
            raise Broken("a header in Huffman's code")
        length = number(7)
        at += length
        return block[at - length : at].decode("latin-1")

    while at < len(block):
        first = block[at]
        if first & 128:
            name, _, value = STATIC[number(7) - 1].partition("=")
        elif first & 0xE0 == 0x20:
            number(5)
            continue
        else:
            index = number(6 if first & 64 else 4)
            name = STATIC[index - 1].partition("=")[0] if index else string()
            value = string()
        found.append((name, value))
    return found
