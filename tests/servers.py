"""A real HTTP server on loopback that misbehaves as a test tells it to."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, kw_only=True)
class Reply:
    """How one request is answered; by default as a good server does."""

    status: int | None = None
    """Answer this, with no file."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Serve this in place of the file."""
    etag: str | None = None
    """In place of the file's own."""
    cut_after: int | None = None
    """Close the connection after so many bytes of the body; 0: before any of it."""
    stall_after: int | None = None
    """Send nothing more after so many bytes, and keep the connection."""
    pause_sec: float = 0.0
    """Wait after each piece of 100 bytes."""
    no_answer: bool = False
    """Close the connection before the status line."""
    ignores_range: bool = False
    ignores_if_range: bool = False
    first_byte: int | None = None
    """Answer a range with one that begins here."""
    chunked: bool = False
    """No Content-Length."""
    unframed: bool = False
    """Neither length nor chunks: the end of the connection is the end of the body."""
    length: int | None = None
    """Claim this Content-Length."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked."""

    path: str
    range: str | None
    if_range: str | None
    accept_encoding: str | None


@dataclass
class Server:
    """What the server gives, in which manner, and what it was asked."""

    body: bytes
    replies: list[Reply]
    """For the first requests, one each; `otherwise` for all later ones."""
    otherwise: Reply
    etag: str | None
    last_modified: str | None
    by_path: Mapping[str, Reply]
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    address: str = ""

    def next_reply(self, request: Request) -> Reply:
        with self.lock:
            self.requests.append(request)
            if request.path in self.by_path:
                return self.by_path[request.path]
            return self.replies.pop(0) if self.replies else self.otherwise


@contextlib.contextmanager
def serve(
    body: bytes = b"",
    replies: Sequence[Reply] = (),
    *,
    otherwise: Reply | None = None,
    etag: str | None = '"first"',
    last_modified: str | None = None,
    by_path: Mapping[str, Reply] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Server]:
    """Serve `body` at every path of `server.address`."""
    server = Server(body, list(replies), otherwise or Reply(), etag, last_modified, by_path or {})
    handler = type("Handler", (_Handler,), {"server_state": server})
    http = _Quiet(("127.0.0.1", 0), handler)
    if tls:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    server.address = f"{'https' if tls else 'http'}://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        http.shutdown()
        thread.join()
        http.server_close()


def closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that were killed are what the tests are about


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: Server

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        state = self.server_state
        asked = Request(
            path=self.path,
            range=self.headers["Range"],
            if_range=self.headers["If-Range"],
            accept_encoding=self.headers["Accept-Encoding"],
        )
        reply = state.next_reply(asked)
        self.close_connection = True
        if reply.no_answer:
            return
        if reply.status is not None:
            self._head(reply.status, {"Content-Length": "0", **reply.headers})
            return
        body = state.body if reply.body is None else reply.body
        etag = reply.etag or state.etag
        headers = {"ETag": etag} if etag else {}
        if state.last_modified:
            headers["Last-Modified"] = state.last_modified
        same = asked.if_range in (None, etag, state.last_modified) or reply.ignores_if_range
        status, first = 200, 0
        if asked.range and same and not reply.ignores_range:
            status, first = 206, int(asked.range.removeprefix("bytes=").removesuffix("-"))
            if first >= len(body):
                self._head(416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
                return
            first = first if reply.first_byte is None else reply.first_byte
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        if reply.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif not reply.unframed:
            headers["Content-Length"] = str(len(body) - first if reply.length is None else reply.length)
        self._head(status, {**headers, **reply.headers})
        self._send(body[first:], reply)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def _send(self, body: bytes, reply: Reply) -> None:
        ends = [end for end in (reply.cut_after, reply.stall_after) if end is not None]
        data = body[: min(ends)] if ends else body
        step = 100 if reply.pause_sec else max(len(data), 1)
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if reply.chunked else piece)
            if reply.pause_sec:
                self.server_state.closing.wait(reply.pause_sec)
        if reply.stall_after is not None:
            self.server_state.closing.wait(30)
        elif reply.chunked and reply.cut_after is None:
            self.wfile.write(b"0\r\n\r\n")
