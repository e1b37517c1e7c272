"""Fetching from a server that cuts, stalls, lies and changes its mind."""

import contextlib
import email.utils
import hashlib
import itertools
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import Reply, Request, closed_port, serve

from pianogen.catalogue import Archive
from pianogen.errors import DownloadError
from pianogen.fetch import FetchConfig, SourceError, fetch

BODY = bytes(hashlib.sha256(b"%d" % i).digest()[0] for i in range(2000))
OTHER = BODY[::-1]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def archive(body: bytes | None = BODY, *, checksum: bool = True, size: bool = True) -> Archive:
    body = body or b""
    return Archive(
        name="a.bin",
        url="unused",
        kind="file",
        size_bytes=len(body) if size else None,
        sha256=hashlib.sha256(body).hexdigest() if checksum else None,
    )


UNKNOWN = archive(checksum=False, size=False)


def patient(waits: list[float] | None = None, **options) -> FetchConfig:
    waits = [] if waits is None else waits
    return FetchConfig(
        **{
            "sleep": waits.append,
            "random": lambda: 1.0,
            "stall_timeout_sec": 0.2,
            "connect_timeout_sec": 2.0,
            **options,
        }
    )


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_is_told_as_it_comes(tmp_path):
    told = []
    with serve(BODY) as server:
        fetched = fetch(
            server.address, tmp_path / "a.bin", archive(), patient(), progress=lambda *numbers: told.append(numbers)
        )
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert files_in(tmp_path) == ["a.bin"]
    assert (fetched.size_bytes, fetched.sha256) == (2000, hashlib.sha256(BODY).hexdigest())
    assert fetched.md5 == hashlib.md5(BODY).hexdigest()
    assert told[0] == (0, 2000)
    assert told[-1] == (2000, 2000)
    assert server.requests == [Request(path="/", range=None, if_range=None, accept_encoding="identity")]


def test_a_cut_transfer_goes_on_where_it_was_cut(tmp_path):
    said = []
    with serve(BODY, [Reply(cut_after=700), Reply(cut_after=500)]) as server:
        fetch(server.address, tmp_path / "a.bin", archive(), patient(), say=said.append)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert [(r.range, r.if_range) for r in server.requests] == [
        (None, None),
        ("bytes=700-", '"first"'),
        ("bytes=1200-", '"first"'),
    ]
    assert "cut after 700 of 2,000 bytes" in said[0]
    assert files_in(tmp_path) == ["a.bin"]


def test_a_version_without_a_strong_etag_is_told_by_its_time(tmp_path):
    then = "Mon, 02 Jan 2023 10:00:00 GMT"
    with serve(BODY, [Reply(cut_after=700)], etag='W/"weak"', last_modified=then) as server:
        fetch(server.address, tmp_path / "a.bin", UNKNOWN, patient())
    assert (server.requests[1].range, server.requests[1].if_range) == ("bytes=700-", then)


def test_without_version_and_checksum_a_cut_transfer_begins_anew_in_the_next_process(tmp_path):
    with serve(BODY, [Reply(cut_after=700)], etag=None) as server:
        with pytest.raises(SourceError):
            fetch(server.address, tmp_path / "a.bin", UNKNOWN, patient(max_failures=1))
        assert (tmp_path / "a.bin.part").stat().st_size == 700
        fetch(server.address, tmp_path / "a.bin", UNKNOWN, patient())
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert server.requests[1].range is None


def test_another_address_goes_on_where_the_first_broke_off_when_a_checksum_judges(tmp_path):
    with (
        serve(BODY, [Reply(cut_after=700)], otherwise=Reply(status=500)) as mirror,
        serve(BODY, etag='"x"') as official,
    ):
        with pytest.raises(SourceError, match="500 Internal Server Error; 6 tries in a row"):
            fetch(mirror.address, tmp_path / "a.bin", archive(), patient())
        fetch(official.address, tmp_path / "a.bin", archive(), patient())
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert [(r.range, r.if_range) for r in official.requests] == [("bytes=700-", None)]


def test_a_server_that_ignores_ranges_is_read_from_the_start(tmp_path):
    with serve(BODY, [Reply(cut_after=700)], otherwise=Reply(ignores_range=True)) as server:
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert server.requests[1].range == "bytes=700-"


def test_a_server_that_ignores_ranges_and_always_cuts_at_one_place_is_given_up(tmp_path):
    with (
        serve(BODY, otherwise=Reply(ignores_range=True, cut_after=700)) as server,
        pytest.raises(SourceError, match=r"cut after 700 of 2,000 bytes; 6 tries in a row brought nothing"),
    ):
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
    assert len(server.requests) == 6


def test_a_range_that_was_not_asked_for_is_not_taken(tmp_path):
    with serve(BODY, [Reply(cut_after=700), Reply(first_byte=500)]) as server:
        fetch(server.address, tmp_path / "a.bin", UNKNOWN, patient())
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert [r.range for r in server.requests] == [None, "bytes=700-", None]


def test_resumed_bytes_that_do_not_verify_are_fetched_once_more_from_the_start(tmp_path):
    (tmp_path / "a.bin.part").write_bytes(OTHER[:900])
    with serve(BODY) as server:
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
        assert (tmp_path / "a.bin").read_bytes() == BODY
        assert [r.range for r in server.requests] == ["bytes=900-", None]
    (tmp_path / "a.bin.part").write_bytes(OTHER[:900])
    with serve(OTHER[:900] + OTHER[:1100]) as server, pytest.raises(SourceError, match="wrong bytes: sha256"):
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
    assert [r.range for r in server.requests] == ["bytes=900-", None]


def test_bytes_that_were_fetched_anew_and_are_wrong_again_end_it(tmp_path):
    (tmp_path / "a.bin.part").write_bytes(OTHER[:900])
    with serve(OTHER, [Reply(), Reply(cut_after=700)]) as server, pytest.raises(SourceError, match="wrong bytes"):
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
    assert [r.range for r in server.requests] == ["bytes=900-", None, "bytes=700-"]


def test_cuts_that_each_bring_some_bytes_are_never_too_many(tmp_path):
    waits = []
    with serve(BODY, [Reply(cut_after=60)] * 30) as server:
        fetch(server.address, tmp_path / "a.bin", archive(), patient(waits))
    assert len(server.requests) == 31
    assert waits == [1.0] * 30


def test_a_part_as_long_as_the_file_is_verified_without_the_network(tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY)
    fetch(f"http://127.0.0.1:{closed_port()}/", tmp_path / "a.bin", archive(), patient())
    assert files_in(tmp_path) == ["a.bin"]


def test_a_part_that_turns_out_whole_is_not_fetched_again(tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY)
    with serve(BODY) as server:
        fetch(server.address, tmp_path / "a.bin", archive(size=False), patient())
    assert [r.range for r in server.requests] == ["bytes=2000-"]
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_part_longer_than_the_servers_file_is_thrown_away(tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY + b"more")
    with serve(BODY) as server:
        fetch(server.address, tmp_path / "a.bin", archive(size=False), patient())
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert [r.range for r in server.requests] == ["bytes=2004-", None]


@pytest.mark.parametrize("ignores_if_range", [False, True])
def test_a_file_that_changes_between_two_requests_is_never_a_mixture(tmp_path, ignores_if_range):
    changed = Reply(body=OTHER, etag='"second"', ignores_if_range=ignores_if_range)
    with serve(BODY, [Reply(cut_after=700)], otherwise=changed) as server:
        fetch(server.address, tmp_path / "a.bin", UNKNOWN, patient())
    assert (tmp_path / "a.bin").read_bytes() == OTHER


def test_a_file_that_never_stops_changing_is_given_up(tmp_path):
    replies = [Reply(cut_after=700, etag=f'"{i}"') for i in range(20)]
    with serve(BODY, replies) as server, pytest.raises(SourceError, match="changed 4 times while it was read"):
        fetch(server.address, tmp_path / "a.bin", UNKNOWN, patient())


@pytest.mark.parametrize("status", [404, 403, 410, 451, 204, 304])
def test_an_answer_that_will_not_change_is_asked_for_once(tmp_path, status):
    with serve(otherwise=Reply(status=status)) as server, pytest.raises(SourceError, match=f"answers {status} "):
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
    assert len(server.requests) == 1
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_is_waited_for(tmp_path, status):
    waits = []
    with serve(BODY, [Reply(status=status, headers={"Retry-After": "7"})]) as server:
        fetch(server.address, tmp_path / "a.bin", archive(), patient(waits))
    assert waits == [7.0]


def test_a_server_may_ask_to_wait_until_a_time(tmp_path):
    waits, then = [], datetime.now(UTC) + timedelta(seconds=100)
    later = Reply(status=503, headers={"Retry-After": email.utils.format_datetime(then, usegmt=True)})
    with serve(BODY, [later]) as server:
        fetch(server.address, tmp_path / "a.bin", archive(), patient(waits))
    assert 80 < waits[0] <= 100


@pytest.mark.parametrize("value", ["soon", "-5", "", "١٢"])
def test_a_senseless_retry_after_is_a_plain_pause(tmp_path, value):
    waits = []
    headers = {"Retry-After": value} if value.isascii() else {"Retry-After": value.encode().decode("latin-1")}
    with serve(BODY, [Reply(status=503, headers=headers)]) as server:
        fetch(server.address, tmp_path / "a.bin", archive(), patient(waits))
    assert waits == [1.0]


def test_a_server_that_asks_to_wait_too_long_is_left(tmp_path):
    with (
        serve(otherwise=Reply(status=429, headers={"Retry-After": "86400"})) as server,
        pytest.raises(SourceError, match="429 Too Many Requests, and asks to come back in 86,400 s"),
    ):
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
    assert len(server.requests) == 1


def test_pauses_double_and_are_shortened_by_chance(tmp_path):
    waits = []
    with serve(otherwise=Reply(status=500)) as server, pytest.raises(SourceError, match="500"):
        fetch(server.address, tmp_path / "a.bin", archive(), patient(waits, max_backoff_sec=5.0))
    assert waits == [1.0, 2.0, 4.0, 5.0, 5.0]
    waits.clear()
    with serve(otherwise=Reply(status=500)) as server, pytest.raises(SourceError, match="500"):
        fetch(server.address, tmp_path / "a.bin", archive(), patient(waits, random=lambda: 0.5))
    assert waits == [0.75, 1.5, 3.0, 6.0, 12.0]


def test_a_server_that_stalls_is_left_and_asked_for_the_rest(tmp_path):
    said = []
    with serve(BODY, [Reply(stall_after=300), Reply(stall_after=0)]) as server:
        fetch(server.address, tmp_path / "a.bin", archive(), patient(), say=said.append)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert [r.range for r in server.requests] == [None, "bytes=300-", "bytes=300-"]
    assert "nothing came for 0.2 s after 300 bytes" in said[0]


def test_a_slow_server_that_keeps_sending_is_not_given_up(tmp_path):
    with serve(BODY, [Reply(pause_sec=0.03)]) as server:
        before = time.monotonic()
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
        assert time.monotonic() - before > 0.5, "slower than the timeout, or the test shows nothing"
    assert len(server.requests) == 1


def test_a_connection_closed_without_an_answer_is_tried_again(tmp_path):
    with serve(BODY, [Reply(no_answer=True)]) as server:
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_wrong_bytes_are_refused_and_leave_nothing(tmp_path):
    with serve(OTHER) as server, pytest.raises(SourceError, match="wrong bytes: sha256"):
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
    assert len(server.requests) == 1
    assert files_in(tmp_path) == []


def test_md5_is_verified_where_there_is_no_sha256(tmp_path):
    wanted = Archive(name="a.bin", url="unused", kind="file", md5=hashlib.md5(BODY).hexdigest().upper())
    with serve(BODY) as server:
        fetch(server.address, tmp_path / "a.bin", wanted, patient())
    with serve(OTHER) as server, pytest.raises(SourceError, match="wrong bytes: md5"):
        fetch(server.address, tmp_path / "b.bin", wanted, patient())


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_page_in_place_of_an_archive_is_noticed_without_any_checksum(tmp_path, kind):
    wanted = Archive(name="a", url="unused", kind=kind)
    with (
        serve(b"<!DOCTYPE html><p>log in") as server,
        pytest.raises(SourceError, match=f"not a {kind} file, it begins"),
    ):
        fetch(server.address, tmp_path / "a", wanted, patient())
    assert files_in(tmp_path) == []


def test_a_wrong_length_is_refused_before_its_bytes_are_read(tmp_path):
    with serve(BODY + b"more") as server, pytest.raises(SourceError, match="offers 2,004 bytes, 2,000 expected"):
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
    assert files_in(tmp_path) == []


def test_more_bytes_than_expected_are_not_read_to_their_end(tmp_path):
    with (
        serve(BODY * 2000, otherwise=Reply(chunked=True)) as server,
        pytest.raises(SourceError, match="sends more than the 2,000 bytes expected"),
    ):
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
    assert files_in(tmp_path) == []


def test_a_length_shorter_than_the_file_is_a_cut(tmp_path):
    with serve(BODY, [Reply(length=3000)]) as server:
        fetch(server.address, tmp_path / "a.bin", UNKNOWN, patient())
    assert (tmp_path / "a.bin").read_bytes() == BODY


@pytest.mark.parametrize("wanted", [archive(), UNKNOWN])
def test_a_file_of_unannounced_length_arrives_through_cuts(tmp_path, wanted):
    told = []
    replies = [Reply(chunked=True, cut_after=700), Reply(chunked=True, cut_after=600), Reply(chunked=True)]
    with serve(BODY, replies) as server:
        fetch(server.address, tmp_path / "a.bin", wanted, patient(), progress=lambda done, total: told.append(total))
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert [r.range for r in server.requests] == [None, "bytes=700-", "bytes=1300-"]
    assert told[0] == wanted.size_bytes


def test_a_cut_that_looks_like_an_end_is_noticed_where_the_size_is_known(tmp_path):
    with serve(BODY, [Reply(unframed=True, cut_after=700), Reply(unframed=True)]) as server:
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert [r.range for r in server.requests] == [None, "bytes=700-"]


def test_an_empty_file_is_a_file(tmp_path):
    with serve(b"") as server:
        fetch(server.address, tmp_path / "a.bin", archive(b""), patient())
    assert (tmp_path / "a.bin").read_bytes() == b""


def test_a_tar_gz_declared_as_an_encoding_stays_what_it_is(tmp_path):
    with serve(BODY, otherwise=Reply(headers={"Content-Encoding": "gzip"})) as server:
        fetch(server.address, tmp_path / "a.bin", archive(), patient())
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_redirects_are_followed_again_at_each_try(tmp_path):
    def to(path: str) -> Reply:
        return Reply(status=302, headers={"Location": path})

    with serve(BODY, [Reply(cut_after=700)], by_path={"/a": to("/b"), "/b": to("/c")}) as server:
        fetch(f"{server.address}/a", tmp_path / "a.bin", archive(), patient())
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert [(r.path, r.range) for r in server.requests[2:]] == [
        ("/c", None),
        ("/a", "bytes=700-"),
        ("/b", "bytes=700-"),
        ("/c", "bytes=700-"),
    ]


@pytest.mark.parametrize(
    "location, message",
    [
        ("/", "redirects more than 10 times"),
        ("file:///etc/passwd", "redirects to file:///etc/passwd, which is not HTTP"),
    ],
)
def test_redirects_that_lead_nowhere_good_are_refused(tmp_path, location, message):
    with (
        serve(BODY, otherwise=Reply(status=301, headers={"Location": location})) as server,
        pytest.raises(SourceError, match=message),
    ):
        fetch(server.address, tmp_path / "a.bin", archive(), patient())


def test_a_redirect_from_https_to_http_is_refused_and_an_unknown_certificate_too(tmp_path, monkeypatch):
    certificate = write_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with serve(BODY) as plain:
        down = Reply(status=302, headers={"Location": plain.address})
        with serve(BODY, by_path={"/down": down}, tls=context) as server:
            fetch(f"{server.address}/a", tmp_path / "a.bin", archive(), patient())
            with pytest.raises(SourceError, match="redirects from https to http://127"):
                fetch(f"{server.address}/down", tmp_path / "b.bin", archive(), patient())
            monkeypatch.delenv("REQUESTS_CA_BUNDLE")
            with pytest.raises(SourceError, match="no secure connection"):
                fetch(f"{server.address}/a", tmp_path / "b.bin", archive(), patient())
    assert plain.requests == []


def write_certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 signed by itself, with its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key_bytes = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(key_bytes + signed.public_bytes(pem))
    return path


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:{port}/", "http://no-such-host.invalid/", "https://127.0.0.1:{port}/"]
)
def test_a_server_that_is_not_there_is_told_at_once_and_not_waited_for(tmp_path, address):
    waits, before = [], time.monotonic()
    with pytest.raises(SourceError) as raised:
        fetch(address.format(port=closed_port()), tmp_path / "a.bin", archive(), patient(waits))
    assert raised.value.unreachable
    assert waits == []
    assert time.monotonic() - before < 5


def test_a_server_that_goes_away_in_the_middle_is_waited_for(tmp_path):
    with contextlib.ExitStack() as running:
        server = running.enter_context(serve(BODY, [Reply(cut_after=700)]))
        waits = []

        def go_away(sec: float) -> None:
            waits.append(sec)
            running.close()

        with pytest.raises(SourceError, match="no connection: Connection refused; 3 tries in a row") as raised:
            fetch(server.address, tmp_path / "a.bin", archive(), patient(sleep=go_away, max_failures=3))
    assert not raised.value.unreachable
    assert waits == [1.0, 2.0]
    assert (tmp_path / "a.bin.part").read_bytes() == BODY[:700]


@pytest.mark.parametrize("address", ["http://", "http://[", "gopher://x/", "nonsense"])
def test_an_address_that_is_none_is_said_to_be_none(tmp_path, address):
    with pytest.raises(SourceError, match="cannot be asked"):
        fetch(address, tmp_path / "a.bin", archive(), patient())


def test_a_file_address_is_copied_and_verified(tmp_path):
    (tmp_path / "a file.bin").write_bytes(BODY)
    target = tmp_path / "out"
    fetch((tmp_path / "a file.bin").as_uri(), target, archive(), patient())
    assert target.read_bytes() == BODY
    with pytest.raises(SourceError, match="wrong bytes"):
        fetch((tmp_path / "a file.bin").as_uri(), target, archive(OTHER), patient())
    with pytest.raises(SourceError, match="No such file"):
        fetch((tmp_path / "none").as_uri(), target, archive(), patient())
    with pytest.raises(SourceError, match="another machine"):
        fetch("file://host/a", target, archive(), patient())


def test_a_folder_that_cannot_be_written_is_the_disks_fault_and_no_sources(tmp_path):
    with serve(BODY) as server, pytest.raises(DownloadError, match="cannot be written: No such file") as raised:
        fetch(server.address, tmp_path / "none" / "a.bin", archive(), patient())
    assert not isinstance(raised.value, SourceError)


def test_a_file_larger_than_the_disk_is_not_begun(tmp_path):
    with serve(BODY, [Reply(length=10**17)]) as server:
        with pytest.raises(DownloadError, match=r"the disk has .* free") as raised:
            fetch(server.address, tmp_path / "a.bin", UNKNOWN, patient())
        assert not isinstance(raised.value, SourceError)
    assert not (tmp_path / "a.bin.part").exists()


def test_messages_hold_neither_password_nor_control_characters(tmp_path):
    said = []
    with serve(BODY, [Reply(cut_after=700)]) as server:
        address = server.address.replace("://", "://user:secret@") + "/\x1b[31m"
        fetch(address, tmp_path / "a.bin", archive(), patient(), say=said.append)
    assert "secret" not in said[0]
    assert "\x1b" not in said[0]


replies = st.builds(
    Reply,
    cut_after=st.integers(0, 2500),
    chunked=st.booleans(),
    ignores_range=st.sampled_from([False, False, True]),
    no_answer=st.sampled_from([False, False, False, True]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(replies, max_size=8), st.booleans(), st.booleans())
def test_any_sequence_of_cuts_ends_with_the_exact_bytes(tmp_path, cuts, checksum, size):
    folder = tmp_path / str(next(numbers))
    folder.mkdir()
    with serve(BODY, cuts) as server:
        fetch(
            server.address,
            folder / "a.bin",
            archive(checksum=checksum, size=size),
            patient(max_failures=len(cuts) + 1),
        )
    assert (folder / "a.bin").read_bytes() == BODY
    assert files_in(folder) == ["a.bin"]


numbers = itertools.count()
