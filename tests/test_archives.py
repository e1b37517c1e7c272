"""Archives that are what they should be, and archives that somebody made to do harm."""

import gzip
import io
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pianogen.archives.extraction import Extracted, extract
from pianogen.archives.writer import Bounded, Limits
from pianogen.aside import keeps_case
from pianogen.errors import ArchiveError

LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def zip_bytes(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(name, data)
    return out.getvalue()


def raw_zip(*members: tuple[bytes, bytes], flags: int = 0) -> bytes:
    """A zip of stored members byte by byte, whose names are what zipfile would not write."""
    body, directory = b"", b""
    for name, data in members:
        fields = (20, flags, 0, 0, 0, zlib.crc32(data), len(data), len(data), len(name), 0)
        directory += CENTRAL + struct.pack("<H5H3L2H3H2L", 20, *fields, 0, 0, 0, 0, len(body)) + name
        body += LOCAL + struct.pack("<5H3L2H", *fields) + name + data
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return body + directory + end


def tar_gz(
    *members: tuple[str | tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT, encoding: str = "utf-8"
) -> bytes:
    return gzip.compress(tar(*members, format=format, encoding=encoding))


def tar(
    *members: tuple[str | tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT, encoding: str = "utf-8"
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, encoding=encoding) as file:
        for name, data in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            if info.isreg():
                info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def special(name: str, type: bytes, linkname: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = type, linkname
    return info


def unpack(folder: Path, data: bytes, kind: str | None = None, **limits) -> dict[str, bytes]:
    """What comes out, by name; after an error, nothing may be left."""
    archive = folder / "archive"
    archive.write_bytes(data)
    before = sorted(folder.rglob("*"))
    try:
        extract(
            archive, kind or ("tar.gz" if data.startswith(b"\x1f\x8b") else "zip"), folder / "out", Limits(**limits)
        )
    except ArchiveError:
        assert sorted(folder.rglob("*")) == before, "something was left behind, or fell outside"
        raise
    assert {path.name for path in folder.iterdir()} == {"archive", "out"}
    out = folder / "out"
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def refused(folder: Path, data: bytes, what: str, kind: str | None = None, **limits) -> str:
    with pytest.raises(ArchiveError) as raised:
        unpack(folder, data, kind, **limits)
    place, text = f"{folder / 'archive'}: ", str(raised.value)
    assert text.startswith(place)
    assert "nothing was unpacked" in text
    # Without the folder, which is named after the test.
    assert re.search(what, text.removeprefix(place)), text
    return text


def both(*members: tuple[str, bytes]) -> list[bytes]:
    return [zip_bytes(*members), tar_gz(*members)]


# What should come out


@pytest.mark.parametrize(
    "data", both(("set/a.mid", b"a" * 3000), ("set/deep/er/b.mid", b""), ("set/c d.mid", b"c")), ids=["zip", "tar.gz"]
)
def test_members_come_out_as_they_were_packed_with_their_leading_folder(tmp_path, data):
    assert unpack(tmp_path, data) == {"set/a.mid": b"a" * 3000, "set/deep/er/b.mid": b"", "set/c d.mid": b"c"}


@pytest.mark.parametrize("data", both(("a.mid", b"one"), ("b.mid", b"three")), ids=["zip", "tar.gz"])
def test_an_extraction_tells_what_came_out_and_replaces_what_was_there(tmp_path, data):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").touch()
    (tmp_path / "archive").write_bytes(data)
    told = []
    kind = "zip" if data.startswith(b"PK") else "tar.gz"
    done = extract(tmp_path / "archive", kind, tmp_path / "out", progress=lambda *numbers: told.append(numbers))
    assert done == Extracted(num_files=2, num_bytes=8)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mid", "b.mid"]
    assert told == [(3, 8 if kind == "zip" else None), (8, 8 if kind == "zip" else None)]


def test_folders_come_out_too_and_may_come_twice(tmp_path):
    folder = special("set", tarfile.DIRTYPE)
    unpack(tmp_path, tar_gz((folder, b""), ("./set/a.mid", b"a"), (folder, b""), (special("./", tarfile.DIRTYPE), b"")))
    assert (tmp_path / "out/set/a.mid").read_bytes() == b"a"
    unpack(tmp_path, zip_bytes(("empty/", b""), ("set/", b""), ("set/a.mid", b"z")))
    assert (tmp_path / "out/set/a.mid").read_bytes() == b"z"
    assert (tmp_path / "out/empty").is_dir()


def test_archives_in_an_archive_stay_files(tmp_path):
    inner = zip_bytes(("../evil.mid", b"x"))
    for data in both(("inner.zip", inner), ("inner.tar.gz", tar_gz(("a", b"a")))):
        assert unpack(tmp_path, data)["inner.zip"] == inner


def test_neither_mode_nor_owner_comes_out_of_an_archive(tmp_path):
    info = tarfile.TarInfo("a.sh")
    info.mode, info.uid, info.uname = 0o6777, 12345, "nobody"
    unpack(tmp_path, tar_gz((info, b"#!/bin/sh")))
    status = (tmp_path / "out/a.sh").stat()
    assert status.st_mode & 0o7111 == 0
    assert status.st_uid == os.getuid()


def test_an_empty_archive_makes_an_empty_folder(tmp_path):
    for data in both():
        assert unpack(tmp_path, data) == {}


def test_members_are_streamed(tmp_path):
    size = 24 << 20
    patterns = bytes(range(256)) * (24 << 12)
    for data in both(("big.bin", patterns)):
        (tmp_path / "archive").write_bytes(data)
        tracemalloc.start()
        limits = Limits(max_ratio=2000.0)
        extract(tmp_path / "archive", "zip" if data.startswith(b"PK") else "tar.gz", tmp_path / "out", limits)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (tmp_path / "out/big.bin").stat().st_size == size
        assert peak < 8 << 20


# Names


@pytest.mark.parametrize(
    "name, what",
    [
        ("../evil.mid", "climbs"),
        ("a/../../evil.mid", "climbs"),
        ("a/..", "climbs"),
        ("/etc/evil.mid", "absolute"),
        ("//host/share/evil.mid", "absolute"),
        ("C:/evil.mid", "absolute"),
        ("c:evil.mid", "absolute"),
        ("C:\\evil.mid", "backslash"),
        ("..\\evil.mid", "backslash"),
        ("a\nb.mid", "control character"),
        ("a\x1b[31m.mid", "control character"),
        ("a\x7f.mid", "control character"),
        ("a\x85.mid", "control character"),
        ("CON", "device"),
        ("set/aux.mid", "device"),
        ("set/Lpt1.tar.gz", "device"),
        ("nul/a.mid", "device"),
        ("a" * 256, "256 bytes, at most 255 fit"),
        ("é" * 128, "256 bytes, at most 255 fit"),
        ("a/" * 520 + "b.mid", "more than 1024 bytes"),
    ],
)
def test_a_name_that_must_not_become_a_file_refuses_the_archive(tmp_path, name, what):
    for data in both(("good.mid", b"good"), (name, b"evil")):
        text = refused(tmp_path, data, what)
        assert f"member {ascii(name)[:100]}" in text
        assert text.isprintable(), "what steers a terminal must not come through"


@pytest.mark.parametrize("name", ["..", "../x/", "/", "/x/"])
def test_a_folder_that_lies_elsewhere_refuses_the_archive(tmp_path, name):
    for data in (zip_bytes((name.rstrip("/") + "/", b"")), tar_gz((special(name, tarfile.DIRTYPE), b""))):
        if name != "/" or data.startswith(b"PK"):
            refused(tmp_path, data, "climbs|absolute")


def test_a_name_that_ends_at_a_zero_byte_for_some_is_refused(tmp_path):
    refused(tmp_path, raw_zip((b"a.mid\0/../../evil", b"x")), "zero byte")


def test_a_file_without_a_name_is_refused(tmp_path):
    refused(tmp_path, raw_zip((b".", b"x")), "no name")
    refused(tmp_path, tar_gz(("./.", b"x")), "no name")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_refuses_the_archive(tmp_path):
    for data in both(("set/a.mid", b"1"), ("set/a.mid", b"2")) + both(("set/a.mid", b"1"), ("set//./a.mid", b"2")):
        refused(tmp_path, data, "comes twice")


@pytest.mark.parametrize("one, two", [("a.mid", "A.mid"), ("Set/a.mid", "sET/b.mid"), ("é.mid", "e\u0301.mid")])
def test_names_that_differ_by_case_or_unicode_form_alone_refuse_the_archive_unless_allowed(tmp_path, one, two):
    for data in both((one, b"1"), (two, b"2")):
        refused(tmp_path, data, "but for case or Unicode form")
        if keeps_case(tmp_path):
            assert unpack(tmp_path, data, refuse_case_collisions=False) == {one: b"1", two: b"2"}


@pytest.mark.parametrize("names", [("a", "a/b.mid"), ("a/b.mid", "a")])
def test_a_file_where_a_folder_must_be_refuses_the_archive(tmp_path, names):
    for data in both(*((name, b"x") for name in names)):
        refused(tmp_path, data, "'a' is a file and a folder")


def test_names_of_a_zip_are_utf_8_where_they_say_so_or_are_so_else_code_page_437(tmp_path):
    assert list(unpack(tmp_path, zip_bytes(("Dvořák ♪.mid", b"x")))) == ["Dvořák ♪.mid"]
    assert list(unpack(tmp_path, raw_zip(("Dvořák.mid".encode(), b"x")))) == ["Dvořák.mid"]
    assert list(unpack(tmp_path, raw_zip(("Für Elise.mid".encode("cp437"), b"x")))) == ["Für Elise.mid"]
    refused(tmp_path, raw_zip((b"F\xfcr.mid", b"x"), flags=0x800), "not a whole zip")


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_names_of_a_tar_that_are_no_utf_8_come_out_as_the_bytes_they_are(tmp_path, format):
    data = tar_gz(("Für.mid", b"x"), ("ř.mid".encode().decode("latin-1"), b"y"), format=format, encoding="latin-1")
    unpack(tmp_path, data)
    assert sorted(os.listdir(os.fsencode(tmp_path / "out"))) == [b"F\xfcr.mid", "ř.mid".encode()]  # noqa: PTH208


# Kinds of members


@pytest.mark.parametrize(
    "info, what",
    [
        (special("link", tarfile.SYMTYPE, "/etc/passwd"), "a symbolic link"),
        (special("link", tarfile.SYMTYPE, "a.mid"), "a symbolic link"),
        (special("link", tarfile.LNKTYPE, "../../secret"), "a hard link"),
        (special("link", tarfile.LNKTYPE, "a.mid"), "a hard link"),
        (special("null", tarfile.CHRTYPE), "a device"),
        (special("disk", tarfile.BLKTYPE), "a device"),
        (special("pipe", tarfile.FIFOTYPE), "a fifo"),
        (special("odd", b"Z"), "of type b'Z'"),
    ],
)
def test_what_is_neither_file_nor_folder_refuses_a_tar(tmp_path, info, what):
    refused(tmp_path, tar_gz(("a.mid", b"a"), (info, b"")), what)


def test_a_file_through_a_linked_folder_writes_nothing_outside(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    link = special("door", tarfile.SYMTYPE, str(outside))
    refused(tmp_path, tar_gz((link, b""), ("door/evil.mid", b"evil")), "a symbolic link")
    assert list(outside.iterdir()) == []


def test_a_sparse_file_refuses_a_tar(tmp_path):
    info = tarfile.TarInfo("holes.bin")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40)}
    refused(tmp_path, tar_gz((info, b"1\n0\n1\n".ljust(512, b"\0") + b"x")), "sparse")


@pytest.mark.parametrize(
    "kind, what", [(stat.S_IFLNK, "a symbolic link"), (stat.S_IFIFO, "device, fifo"), (stat.S_IFBLK, "device, fifo")]
)
def test_what_is_neither_file_nor_folder_refuses_a_zip(tmp_path, kind, what):
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    refused(tmp_path, zip_bytes(("a.mid", b"a"), (info, b"/etc/passwd")), what)


def test_an_encrypted_zip_is_refused(tmp_path):
    refused(tmp_path, raw_zip((b"a.mid", b"x" * 20), flags=1), "encrypted; .* without a password")


def test_a_zip_packed_by_another_method_is_refused(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("a.mid", b"x" * 100)
    refused(tmp_path, out.getvalue(), "packed by method 14")


# Bombs


@pytest.mark.parametrize("data", both(("zeros", bytes(4 << 20))), ids=["zip", "tar.gz"])
def test_an_archive_that_grows_too_much_is_refused(tmp_path, data):
    refused(tmp_path, data, r"bytes come out of [0-9,]+, more than 100 times", ratio_from_bytes=1 << 20)
    assert len(unpack(tmp_path, data)["zeros"]) == 4 << 20


@pytest.mark.parametrize("data", both(*((f"{i}", bytes(1000)) for i in range(20))), ids=["zip", "tar.gz"])
def test_an_archive_of_too_many_bytes_or_members_is_refused(tmp_path, data):
    refused(tmp_path, data, "more than 15,000", max_total_bytes=15_000)
    refused(tmp_path, data, "more than 19(;| members;)", max_members=19)
    refused(tmp_path, data, "more than 999", max_member_bytes=999)
    assert len(unpack(tmp_path, data, max_total_bytes=20_000 + 40 * 512 + 10240, max_members=20)) == 20


def test_a_tar_is_left_as_soon_as_it_has_given_too_much(tmp_path):
    data = tar_gz(*((f"{i}", bytes(1000)) for i in range(20)))
    refused(tmp_path, data, "member '15': more than 15,000 bytes come out of the archive", max_total_bytes=15_000)


def test_a_packed_stream_is_never_read_twice():
    refusal = ArchiveError("back")
    stream = Bounded(io.BytesIO(b"abcdef"), 4, lambda what: refusal, forward=True)
    assert stream.read(3) == b"abc"
    with pytest.raises(ArchiveError, match="back"):
        stream.seek(2)


def test_a_bomb_behind_the_end_of_a_tar_is_refused(tmp_path):
    data = gzip.compress(tar(("a.mid", b"a")) + bytes(4 << 20))
    refused(tmp_path, data, "more than 100 times", ratio_from_bytes=1 << 20)
    refused(tmp_path, data, "more than 100,000 bytes", max_total_bytes=100_000)


def test_a_zip_whose_members_share_their_bytes_is_refused(tmp_path):
    data = bytearray(raw_zip((b"a.mid", b"x" * 50), (b"a.mid", b"x" * 50)))
    second = data.rindex(CENTRAL)
    struct.pack_into("<L", data, second + 42, 0)
    refused(tmp_path, bytes(data), "shares bytes with 'a.mid'")


def test_a_zip_with_a_directory_too_large_is_refused_before_it_is_read(tmp_path):
    data = raw_zip(*((b"%0200d" % i, b"") for i in range(1000)))
    refused(tmp_path, data, "a header asks for 246,000 bytes at once", max_members=10)


def test_a_tar_header_that_asks_for_memory_is_refused(tmp_path):
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 33
    refused(tmp_path, gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(4 << 20)), "asks for 8,589,934,592 bytes")


def test_a_tar_of_headers_that_follow_headers_is_refused(tmp_path):
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 0
    refused(tmp_path, gzip.compress(header.tobuf() * 5000), "not a whole tar.gz")


# Damage


@pytest.mark.parametrize("data", both(*((f"{i}.mid", os.urandom(2000)) for i in range(5))), ids=["zip", "tar.gz"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_an_archive_cut_anywhere_is_refused(tmp_path, data, share):
    kind = "zip" if data.startswith(b"PK") else "tar.gz"
    refused(tmp_path, data[: int(share * len(data))], f"not a whole {kind}", kind)


def test_a_tar_cut_between_two_members_is_refused(tmp_path):
    whole = tar(("a.mid", b"a" * 512), ("b.mid", b"b"))
    for end in (1024, 1024 + 100, 1024 + 512, 1024 + 512 + 1):
        refused(tmp_path, gzip.compress(whole[:end]), "cut off|ends early|not a whole")


def test_a_tar_damaged_in_the_middle_of_its_headers_is_refused(tmp_path):
    whole = bytearray(tar(("a.mid", b"a" * 512), ("b.mid", b"b")))
    whole[1024 + 10] ^= 0xFF
    refused(tmp_path, gzip.compress(bytes(whole)), "damaged in the middle")


def test_a_wrong_checksum_is_refused(tmp_path):
    data = bytearray(tar_gz(("a.mid", b"a" * 1000)))
    data[-8] ^= 1
    refused(tmp_path, bytes(data), "CRC check failed")
    data = bytearray(raw_zip((b"a.mid", b"a" * 1000)))
    data[500] ^= 1
    refused(tmp_path, bytes(data), "Bad CRC-32")


def test_bytes_that_do_not_inflate_are_refused(tmp_path):
    data = bytearray(zip_bytes(("a.mid", os.urandom(500) + bytes(500))))
    data[40:60] = b"\xff" * 20
    refused(tmp_path, bytes(data), "'a.mid'")


def test_another_kind_of_file_is_refused(tmp_path):
    refused(tmp_path, b"<!DOCTYPE html>", "not a whole zip", "zip")
    refused(tmp_path, b"<!DOCTYPE html>", "not a whole tar.gz", "tar.gz")
    refused(tmp_path, gzip.compress(b"no tar" * 200), "not a whole tar.gz")
    refused(tmp_path, b"x", "kind 'rar' is not read", "rar")


def test_a_zip_of_a_version_to_come_is_refused(tmp_path):
    data = bytearray(zip_bytes(("a.mid", b"a")))
    data[data.index(CENTRAL) + 6] = 255
    refused(tmp_path, bytes(data), "not a whole zip .*version 25.5")


def with_local(data: bytes, at: int, form: str, value: int | bytes) -> bytes:
    """A zip whose first local header says something else."""
    changed = bytearray(data)
    struct.pack_into(form, changed, data.index(LOCAL) + at, value)
    return bytes(changed)


@pytest.mark.parametrize(
    "at, form, value, what",
    [
        (30, "5s", b"evil/", "disagree on its name"),
        (14, "<L", 7, "size or checksum"),
        (18, "<L", 7, "size or checksum"),
        (22, "<L", 7, "size or checksum"),
        (0, "4s", b"junk", "no header stands where"),
        (28, "<H", 60000, "reach into the directory"),
    ],
)
def test_a_zip_whose_local_header_lies_is_refused(tmp_path, at, form, value, what):
    refused(tmp_path, with_local(raw_zip((b"a.mid", b"a" * 100)), at, form, value), what)


@pytest.mark.parametrize("size", [5, 5000])
def test_a_zip_that_lies_about_a_size_in_both_places_is_refused(tmp_path, size):
    data = bytearray(zip_bytes(("a.mid", os.urandom(100))))
    struct.pack_into("<L", data, 22, size)
    struct.pack_into("<L", data, data.index(CENTRAL) + 24, size)
    refused(tmp_path, bytes(data), "'a.mid'")


def test_a_tar_with_a_negative_size_is_refused(tmp_path):
    data = bytearray(tar(("a.mid", b"a" * 600), ("b.mid", b"b")))
    data[124:136] = b"\xff" * 11 + b"\x00"  # -256
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 8 * 32 + sum(data[156:512]))
    refused(tmp_path, gzip.compress(bytes(data)), "'a.mid'|not a whole|points back")


WHOLE = both(("set/a.mid", os.urandom(300)), ("set/b.mid", bytes(300)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6))
def test_whatever_bytes_change_the_archive_comes_out_whole_or_is_refused(tmp_path, whole, changes):
    data = bytearray(whole)
    for at, value in changes:
        data[at % len(data)] = value
    try:
        out = unpack(tmp_path, bytes(data), "zip" if whole.startswith(b"PK") else "tar.gz")
    except ArchiveError:
        return
    assert sum(map(len, out.values())) <= 600


# Deaths


def test_a_killed_extraction_leaves_only_its_aside_folder_and_the_next_removes_it(tmp_path):
    archive = tmp_path / "archive"
    archive.write_bytes(tar_gz(*((f"{i}.mid", b"x" * 100) for i in range(10))))
    code = (
        "import sys, time; from pathlib import Path; from pianogen.archives.extraction import extract\n"
        "def stop(done, total):\n"
        "    if done >= 300: print('ready', flush=True); time.sleep(60)\n"
        "extract(Path(sys.argv[1]), 'tar.gz', Path(sys.argv[2]), progress=stop)"
    )
    command = [sys.executable, "-c", code, str(archive), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        aside = [path for path in tmp_path.iterdir() if path != archive]
        assert [path.name.startswith(".out.") for path in aside] == [True]
        # One that still runs keeps its folder.
        extract(archive, "tar.gz", tmp_path / "out")
        assert aside[0].is_dir()
        process.send_signal(signal.SIGKILL)
    assert len(list(aside[0].iterdir())) == 3
    extract(archive, "tar.gz", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "out"]
    assert len(list((tmp_path / "out").iterdir())) == 10
