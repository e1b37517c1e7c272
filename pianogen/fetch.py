"""One address to one verified file: HTTP that goes on where it was cut.

    address -> <target>.part (`partial.py`) -> <target>, by renaming, once size and checksums are right

- A cut transfer goes on by `Range`, with `If-Range` so that a changed file is sent whole. A server that ignores the
  range is read from the start. Bytes of several answers that do not verify are thrown away and fetched once more.
- A file with a known checksum goes on at another address where the first one broke off: the checksum judges.
- What may pass (a cut, a stall, 408, 429, 5xx) is tried again, each time after a longer and jittered pause, or the
  server's Retry-After. Only tries in a row that bring no new byte count against the limit.
- A timeout is for silence, not for the whole: a slow line that keeps sending is never given up.

requests carries it: connections, TLS, proxies. What else was weighed, and what it lacks here: pooch hashes a file once
it is whole and retries from its first byte; fsspec reads ranges, and checks neither version nor checksum; urllib3's
`Retry` ends where the body begins; tenacity would give the loop of `fetch`, while the stop (no new bytes), the wait
(Retry-After, injected randomness) and the state between tries would be ours still.
"""

import contextlib
import email.utils
import errno
import http
import random
import re
import shutil
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import requests
import urllib3

from pianogen.catalogue import Archive
from pianogen.errors import DownloadError
from pianogen.partial import CHUNK_BYTES, Fetched, Part, Progress, shown

MAX_REDIRECTS = 10
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers that another try may change."""
MAX_CHANGES = 3
"""A source whose file changes more often while it is read is given up."""

Say = Callable[[str], None]
"""Told in words what happens."""


class SourceError(DownloadError):
    """One source does not give the file; the next one may.

    Args:
        text: what happened there.
        unreachable: no server was met at all.
    """

    def __init__(self, text: str, *, unreachable: bool = False) -> None:
        super().__init__(text)
        self.unreachable = unreachable


class _AgainError(Exception):
    """A try failed in a way that may pass; `wait_sec` is what the server asks for."""

    def __init__(self, text: str, *, wait_sec: float | None = None, unreachable: bool = False) -> None:
        super().__init__(text)
        self.wait_sec = wait_sec
        self.unreachable = unreachable


@dataclass(frozen=True, kw_only=True)
class FetchConfig:
    """How long to wait for what."""

    connect_timeout_sec: float = 10.0
    stall_timeout_sec: float = 60.0
    """Silence after which a connection counts as cut."""
    max_failures: int = 6
    """Tries in a row without a new byte."""
    backoff_sec: float = 1.0
    """First pause; each next one is twice as long, and each is cut by up to a half at random."""
    max_backoff_sec: float = 60.0
    max_retry_after_sec: float = 300.0
    """A server that asks for a longer pause is left for the next source."""
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random


def fetch(
    address: str,
    target: Path,
    archive: Archive,
    config: FetchConfig | None = None,
    *,
    progress: Progress | None = None,
    say: Say | None = None,
) -> Fetched:
    """Fetch `address` into `target`, verified.

    Args:
        address: https, http or file.
        target: appears whole; its folder exists. The caller sees to it that no one else fetches it.
        archive: its size and checksums are verified where they are known, else its first bytes.
        config: the timeouts and pauses; the defaults without it.
        progress: bytes done, and of all.
        say: what goes wrong on the way.

    Raises:
        SourceError: this address does not give the file.
        DownloadError: the disk does not take it.
    """
    config = config or FetchConfig()
    say = say or (lambda _: None)
    part = Part(target, archive, address)
    failures, most, num_changes, started_over = 0, part.size, 0, False
    with requests.Session() as session:
        while True:
            try:
                try:
                    _transfer(session, address, part, archive, config, progress or (lambda done, total: None))
                except OSError as error:
                    raise _disk_error(part.path, error) from None
                problem = part.problem(archive)
                if problem is None:
                    return part.finish(target)
                mixed = part.mixed
                part.discard()
                if not mixed or started_over:
                    raise SourceError(problem)
                started_over, most = True, 0
                say(f"{shown(address)}: resumed, and {problem}; fetched again from the start")
            except _AgainError as error:
                if error.unreachable and most == 0 and failures == 0:
                    raise SourceError(str(error), unreachable=True) from None
                if part.num_changes > num_changes:
                    num_changes, most = part.num_changes, 0
                if num_changes > MAX_CHANGES:
                    raise SourceError(f"the file changed {num_changes} times while it was read") from None
                failures = 1 if part.size > most else failures + 1
                most = max(most, part.size)
                if failures >= config.max_failures:
                    raise SourceError(f"{error}; {failures} tries in a row brought nothing") from None
                wait_sec = error.wait_sec
                if wait_sec is None:
                    pause = min(config.backoff_sec * 2 ** (failures - 1), config.max_backoff_sec)
                    wait_sec = pause * (0.5 + 0.5 * config.random())
                say(f"{shown(address)}: {error}; again in {wait_sec:.0f} s, from byte {part.size:,}")
                config.sleep(wait_sec)


def _transfer(
    session: requests.Session, address: str, part: Part, archive: Archive, config: FetchConfig, progress: Progress
) -> None:
    """One try: all the bytes that are missing, or an error."""
    if part.size and part.size == archive.size_bytes:
        part.mixed = True
        return  # every byte is here already: a process was killed before it could rename them
    if address.startswith("file:"):
        _copy(address, part, archive, progress)
        return
    with contextlib.closing(_answer(session, address, part, config)) as response:
        status = response.status_code
        if status == 416 and _range_of(response)[1] == part.size:
            part.mixed = True
            return
        if status == 416:
            part.discard()
            raise _AgainError("the server no longer has the range that is missing", wait_sec=0.0)
        if status not in (200, 206):
            _refuse(response, config)
        if status == 206:
            first, total = _range_of(response)
            changed = part.etag is not None and response.headers.get("ETag", part.etag) != part.etag
            if part.size == 0 or first != part.size or changed:
                part.discard()
                part.num_changes += changed
                what = "the file changed meanwhile" if changed else "the server sent another range than asked for"
                raise _AgainError(what, wait_sec=None if first != part.size else 0.0)
            part.mixed = True
        else:
            part.begin(address, response.headers)
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isascii() and length.isdigit() else None
        if archive.size_bytes is not None and total not in (None, archive.size_bytes):
            part.discard()
            raise SourceError(f"offers {total:,} bytes, {archive.size_bytes:,} expected")
        _read_body(response, part, archive.size_bytes if total is None else total, config, progress)


def _read_body(
    response: requests.Response, part: Part, total: int | None, config: FetchConfig, progress: Progress
) -> None:
    if total is not None and total - part.size > (free := shutil.disk_usage(part.path.parent).free):
        raise DownloadError(
            f"{part.path}: {total - part.size:,} bytes are to come, the disk has {free:,} free; free some room"
        )
    progress(part.size, total)
    with part.appending() as append:
        while True:
            try:
                # Not decoded: a tar.gz that a server declares as an encoding must stay what it is.
                data = response.raw.read1(CHUNK_BYTES, decode_content=False)
            except urllib3.exceptions.ReadTimeoutError:
                raise _AgainError(
                    f"nothing came for {config.stall_timeout_sec:g} s after {part.size:,} bytes"
                ) from None
            except urllib3.exceptions.HTTPError:
                raise _cut(part, total) from None
            if not data:
                break
            if total is not None and part.size + len(data) > total:
                part.discard()
                raise SourceError(f"sends more than the {total:,} bytes expected")
            append(data)
            progress(part.size, total)
    if total is not None and part.size < total:
        raise _cut(part, total)


def _cut(part: Part, total: int | None) -> _AgainError:
    of_all = f" of {total:,}" if total is not None else ""
    return _AgainError(f"the connection was cut after {part.size:,}{of_all} bytes")


def _copy(address: str, part: Part, archive: Archive, progress: Progress) -> None:
    """Read a `file:` address."""
    parsed = urllib.parse.urlsplit(address)
    if parsed.netloc not in ("", "localhost"):
        raise SourceError("names a file on another machine; write file:///PATH")
    part.discard()
    try:
        source = Path(urllib.request.url2pathname(parsed.path)).open("rb")  # noqa: SIM115
    except OSError as error:
        raise SourceError(f"{error.strerror}") from None
    with source, part.appending() as append:
        while data := source.read(CHUNK_BYTES):
            append(data)
            progress(part.size, archive.size_bytes)


def _answer(session: requests.Session, address: str, part: Part, config: FetchConfig) -> requests.Response:
    """The answer at the end of the redirects, its body unread."""
    headers = {"Accept-Encoding": "identity", "User-Agent": f"pianogen/{metadata.version('pianogen')}"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if part.validator:
            headers["If-Range"] = part.validator
    for _ in range(MAX_REDIRECTS + 1):
        try:
            response = session.get(
                address,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(config.connect_timeout_sec, config.stall_timeout_sec),
            )
        except requests.RequestException as error:
            raise _no_answer(error, config) from None
        to = session.get_redirect_target(response)
        if to is None:
            return response
        response.close()
        to = urllib.parse.urljoin(address, to)
        if not to.startswith(("https://", "http://")):
            raise SourceError(f"redirects to {shown(to)}, which is not HTTP")
        if address.startswith("https://") and not to.startswith("https://"):
            raise SourceError(f"redirects from https to {shown(to)}, where anyone could change the bytes")
        address = to
    raise SourceError(f"redirects more than {MAX_REDIRECTS} times")


def _no_answer(error: requests.RequestException, config: FetchConfig) -> SourceError | _AgainError:
    """What it means that no answer came."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.exceptions.SSLError):
        return SourceError(f"no secure connection: {reason or error}")
    if isinstance(error, requests.exceptions.ProxyError):
        return _AgainError("the proxy cannot be reached, or refuses", unreachable=True)
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return _AgainError("the name of its server cannot be resolved", unreachable=True)
    if isinstance(error, requests.ConnectTimeout):
        return _AgainError(f"no connection within {config.connect_timeout_sec:g} s", unreachable=True)
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        cause = reason.__cause__
        words = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(reason)
        return _AgainError(f"no connection: {words}", unreachable=True)
    if isinstance(error, requests.ReadTimeout):
        return _AgainError(f"no answer within {config.stall_timeout_sec:g} s")
    if isinstance(error, requests.ConnectionError):
        return _AgainError("the connection was cut before an answer")
    return SourceError(f"cannot be asked: {error}")


def _refuse(response: requests.Response, config: FetchConfig) -> None:
    """Raise what an answer without the file means."""
    status = response.status_code
    # Not the server's own words: they could hold anything.
    name = http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else "an unknown status"
    text = f"answers {status} {name}"
    if status not in PASSING:
        raise SourceError(text)
    wait_sec = _retry_after_sec(response) if status in (429, 503) else None
    if wait_sec is not None and wait_sec > config.max_retry_after_sec:
        raise SourceError(f"{text}, and asks to come back in {wait_sec:,.0f} s")
    raise _AgainError(text, wait_sec=wait_sec)


def _retry_after_sec(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        then = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _range_of(response: requests.Response) -> tuple[int | None, int | None]:
    """First byte and length of the whole, from Content-Range; None where they are not given."""
    value = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", value.strip(), re.ASCII)
    if match is None:
        return None, None
    first, total = match.groups()
    return (int(first) if first else None), (int(total) if total != "*" else None)


def _disk_error(path: Path, error: OSError) -> DownloadError:
    if error.errno == errno.ENOSPC:
        return DownloadError(f"{path}: the disk is full; free some room and ask again, it goes on from there")
    return DownloadError(f"{path}: cannot be written: {error.strerror or error}")
