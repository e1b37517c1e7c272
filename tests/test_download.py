"""Datasets from their sources to their folders, with a real server on loopback."""

import hashlib
import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from builders import settings_in
from servers import Reply, Server, closed_port, serve
from typer.testing import CliRunner

from pianogen.catalogue import Archive, Dataset
from pianogen.cli import app
from pianogen.download import obtain
from pianogen.download_plan import plan
from pianogen.errors import ArchiveError, DownloadError
from pianogen.fetch import FetchConfig
from pianogen.receipts import RECEIPT, read_receipt
from pianogen.settings import DownloadConfig, Settings, load_settings

QUICK = FetchConfig(sleep=lambda sec: None, stall_timeout_sec=0.2, connect_timeout_sec=2.0)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in members:
            file.writestr(name, data)
    return out.getvalue()


BODY = zipped(("set/a.mid", b"a" * 1000), ("set/b.mid", b"b" * 500))
OTHER = zipped(("set/a.mid", b"c" * 1000))


def settings_for(folder: Path, *mirrors: str, offline: bool = False) -> Settings:
    return replace(settings_in(folder), download=DownloadConfig(mirrors=mirrors, offline=offline))


def entry(address: str, body: bytes | None = BODY, *, name: str = "tiny.zip", kind: str = "zip") -> Archive:
    """An archive of the catalogue; nothing is known of its bytes without `body`."""
    if body is None:
        return Archive(name=name, url=f"{address}/{name}", kind=kind)
    sha256 = hashlib.sha256(body).hexdigest()
    return Archive(name=name, url=f"{address}/{name}", kind=kind, size_bytes=len(body), sha256=sha256)


def dataset(settings: Settings, *archives: Archive, **fields) -> Dataset:
    fields = {"folder": settings.raw / "tiny", "licence": "CC BY 4.0", "homepage": "https://tiny.example", **fields}
    return Dataset(name="tiny", title="Tiny", archives=archives, **fields)


def below(folder: Path) -> dict[str, bytes]:
    """Files by name, but for locks, which hold nothing."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def music(settings: Settings) -> dict[str, bytes]:
    """What lies in `raw`, but for the receipt."""
    files = below(settings.raw)
    assert files.pop(f"tiny/{RECEIPT}", None) is not None, "no receipt"
    return files


WHOLE = {"tiny/set/a.mid": b"a" * 1000, "tiny/set/b.mid": b"b" * 500}


def test_a_dataset_comes_to_its_folder_with_a_receipt_and_its_archive_goes(tmp_path):
    settings = settings_for(tmp_path)
    with serve(BODY) as server:
        tiny = dataset(settings, entry(server.address), non_commercial=True)
        receipt = obtain(tiny, settings, config=QUICK)
        assert music(settings) == WHOLE
        assert {path.name for path in settings.raw.iterdir()} <= {"tiny", ".tiny.lock"}
        assert receipt == read_receipt(settings.raw / "tiny")
        assert json.loads((settings.raw / "tiny" / RECEIPT).read_text()) == {
            "dataset": "tiny",
            "licence": "CC BY 4.0",
            "non_commercial": True,
            "archives": [
                {
                    "name": "tiny.zip",
                    "url": f"{server.address}/tiny.zip",
                    "kind": "zip",
                    "source": f"{server.address}/tiny.zip",
                    "size_bytes": len(BODY),
                    "sha256": hashlib.sha256(BODY).hexdigest(),
                    "md5": hashlib.md5(BODY).hexdigest(),
                }
            ],
            "num_files": 2,
            "num_bytes": 1500,
        }
        first, touched = below(settings.raw), settings.raw.stat().st_mtime_ns
        assert obtain(tiny, settings, config=QUICK) == receipt
        assert settings.raw.stat().st_mtime_ns == touched, "nor does it write anything"
        assert len(server.requests) == 1, "asking again asks no server"
        assert obtain(tiny, settings, config=QUICK, force=True) == receipt
        assert len(server.requests) == 2
    assert below(settings.raw) == first


def test_a_kept_archive_is_not_fetched_again(tmp_path):
    settings = settings_for(tmp_path)
    with serve(BODY) as server:
        tiny = dataset(settings, entry(server.address))
        obtain(tiny, settings, config=QUICK, keep_archive=True)
        kept = settings.raw / ".archives/tiny/tiny.zip"
        assert kept.read_bytes() == BODY
        (settings.raw / "tiny" / RECEIPT).write_text("broken")
        for path in (settings.raw / "tiny").rglob("*"):
            if path.is_file():
                path.unlink()
        (settings.raw / "tiny/set").rmdir()
        obtain(tiny, settings, config=QUICK, keep_archive=True)
        assert len(server.requests) == 1
        kept.write_bytes(b"PK something else")
        (settings.raw / "tiny").rename(tmp_path / "away")
        obtain(tiny, settings, config=QUICK)
        assert len(server.requests) == 2
    assert music(settings) == WHOLE


def test_mirrors_are_asked_first_and_the_official_address_last(tmp_path):
    said = []
    with serve(BODY, otherwise=Reply(status=404)) as mirror, serve(BODY) as official:
        settings = settings_for(tmp_path, (tmp_path / "none").as_uri(), f"{mirror.address}/midi")
        receipt = obtain(dataset(settings, entry(official.address)), settings, config=QUICK, say=said.append)
    assert [r.path for r in mirror.requests] == ["/midi/tiny.zip"]
    assert receipt.archives[0].source == f"{official.address}/tiny.zip"
    assert music(settings) == WHOLE
    assert f"{mirror.address}/midi/tiny.zip: answers 404 Not Found" in said


def test_a_mirror_that_has_it_is_enough(tmp_path):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/tiny.zip").write_bytes(BODY)
    settings = settings_for(tmp_path, (tmp_path / "mirror").as_uri(), offline=True)
    with serve(BODY) as official:
        obtain(dataset(settings, entry(official.address)), settings, config=QUICK)
    assert official.requests == []
    assert music(settings) == WHOLE
    assert (tmp_path / "mirror/tiny.zip").read_bytes() == BODY


def test_what_a_mirror_began_the_official_address_ends(tmp_path):
    with serve(BODY, [Reply(cut_after=400)], otherwise=Reply(status=404)) as mirror, serve(BODY) as official:
        settings = settings_for(tmp_path, mirror.address)
        obtain(dataset(settings, entry(official.address)), settings, config=QUICK)
    assert [r.range for r in official.requests] == ["bytes=400-"]
    assert music(settings) == WHOLE


def test_when_no_source_gives_it_the_error_says_what_each_did_and_what_to_do(tmp_path):
    with serve(OTHER) as wrong, serve(otherwise=Reply(status=404)) as none:
        settings = settings_for(tmp_path, wrong.address, f"http://127.0.0.1:{closed_port()}")
        with pytest.raises(DownloadError) as raised:
            obtain(dataset(settings, entry(none.address)), settings, config=QUICK)
    lines = str(raised.value).splitlines()
    assert lines[0] == "tiny.zip of tiny could not be fetched from any source"
    assert lines[1] == f"  {wrong.address}/tiny.zip: offers {len(OTHER):,} bytes, {len(BODY):,} expected"
    assert lines[2].endswith("no connection: Connection refused")
    assert lines[3] == f"  {none.address}/tiny.zip: answers 404 Not Found"
    assert '[datasets.tiny] folder = "/path/to/it"' in lines[4]
    assert "pianogen download tiny --archive /path/to/archive" in lines[4]
    assert below(settings.raw) == {}
    assert {path.suffix for path in settings.raw.iterdir()} <= {".lock"}


def test_without_a_network_one_message_comes_at_once(tmp_path):
    settings, before = settings_for(tmp_path, "https://no-such-host.invalid/"), time.monotonic()
    with pytest.raises(DownloadError, match=r"^no network: tiny.zip of tiny .* none of its sources can be reached"):
        obtain(dataset(settings, entry(f"http://127.0.0.1:{closed_port()}")), settings)
    assert time.monotonic() - before < 5


def test_offline_asks_nobody(tmp_path):
    with serve(BODY) as server:
        settings = settings_for(tmp_path, server.address, offline=True)
        with pytest.raises(DownloadError, match=r"offline = true keeps the network out(.|\n)*--archive"):
            obtain(dataset(settings, entry(server.address)), settings, config=QUICK)
    assert server.requests == []


def test_a_folder_of_the_users_is_used_as_it_is(tmp_path):
    settings = settings_for(tmp_path)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a.mid").write_bytes(b"abc")
    with serve(BODY) as server:
        tiny = dataset(settings, entry(server.address), folder=mine)
        receipt = obtain(tiny, settings, config=QUICK)
        assert (receipt.archives, receipt.num_files, receipt.num_bytes) == ((), 1, 3)
        with pytest.raises(DownloadError, match="is your own and is not written to"):
            obtain(tiny, settings, config=QUICK, force=True)
        with pytest.raises(DownloadError, match="is your own and is not written to"):
            obtain(tiny, settings, config=QUICK, archive=tmp_path / "tiny.zip")
        with pytest.raises(DownloadError, match="is not there; correct"):
            obtain(replace(tiny, folder=tmp_path / "gone"), settings, config=QUICK)
    assert server.requests == []
    assert below(mine) == {"a.mid": b"abc"}


def test_files_without_a_receipt_are_the_users_and_stay(tmp_path):
    settings = settings_for(tmp_path)
    (settings.raw / "tiny").mkdir(parents=True)
    (settings.raw / "tiny/mine.mid").write_bytes(b"mine")
    with serve(BODY) as server:
        for force in (False, True):
            with pytest.raises(DownloadError, match="files without a receipt"):
                obtain(dataset(settings, entry(server.address)), settings, config=QUICK, force=force)
    assert server.requests == []
    assert below(settings.raw) == {"tiny/mine.mid": b"mine"}


def test_a_dataset_without_address_says_where_to_look_and_takes_what_was_put_there(tmp_path):
    settings = settings_for(tmp_path)
    assert "no address is known that gives it" in plan(dataset(settings), settings).lines[1]
    with pytest.raises(DownloadError, match=r"no address is known .* see https://tiny.example, then point"):
        obtain(dataset(settings), settings)
    (settings.raw / "tiny").mkdir(parents=True)
    (settings.raw / "tiny/a.mid").write_bytes(b"abc")
    assert obtain(dataset(settings), settings).num_files == 1


def test_a_local_archive_is_verified_and_stays_where_it_is(tmp_path):
    settings = settings_for(tmp_path)
    tiny = dataset(settings, entry("https://tiny.example"))
    local = tmp_path / "my copy.zip"
    local.write_bytes(OTHER)
    with pytest.raises(DownloadError, match=r"my copy.zip: it is not tiny.zip of tiny: wrong bytes"):
        obtain(tiny, settings, archive=local)
    with pytest.raises(DownloadError, match=r"none.zip: cannot be read: No such file"):
        obtain(tiny, settings, archive=tmp_path / "none.zip")
    local.write_bytes(BODY)
    receipt = obtain(tiny, settings, archive=local)
    assert receipt.archives[0].source == "my copy.zip", "no path of the machine in the receipt"
    assert music(settings) == WHOLE
    assert local.read_bytes() == BODY


def test_several_archives_and_single_files_share_a_folder(tmp_path):
    settings = settings_for(tmp_path)
    table = b"composer,title\n"
    bodies = {"tiny.zip": BODY, "tiny.csv": table}
    with serve(by_path={f"/{name}": Reply(body=body) for name, body in bodies.items()}) as server:
        archives = (entry(server.address), entry(server.address, table, name="tiny.csv", kind="file"))
        receipt = obtain(dataset(settings, *archives), settings, config=QUICK)
    assert music(settings) == {**WHOLE, "tiny/tiny.csv": table}
    assert (receipt.num_files, receipt.num_bytes) == (3, 1500 + len(table))
    (tmp_path / "copies").mkdir()
    for name, body in bodies.items():
        (tmp_path / "copies" / name).write_bytes(body)
    with pytest.raises(DownloadError, match=r"has several archives; name a folder that holds tiny.zip, tiny.csv"):
        obtain(dataset(settings, *archives), settings, archive=tmp_path / "copies/tiny.zip", force=True)
    obtain(dataset(settings, *archives), settings, archive=tmp_path / "copies", force=True)
    assert music(settings) == {**WHOLE, "tiny/tiny.csv": table}


def test_two_archives_with_a_file_of_one_name_are_refused(tmp_path):
    settings = settings_for(tmp_path)
    with serve(by_path={"/tiny.zip": Reply(body=BODY), "/more.zip": Reply(body=OTHER)}) as server:
        archives = (entry(server.address), entry(server.address, OTHER, name="more.zip"))
        with pytest.raises(ArchiveError, match=r"more.zip: member 'set/a.mid': its place is taken"):
            obtain(dataset(settings, *archives), settings, config=QUICK)
    assert not (settings.raw / "tiny").exists()


def test_a_disk_too_small_is_told_before_the_first_byte(tmp_path):
    settings = settings_for(tmp_path)
    with serve(BODY) as server:
        huge = replace(entry(server.address), size_bytes=10**17)
        with pytest.raises(DownloadError, match=r"tiny needs 500,000,000.00 GB of disk .* set `raw` in pianogen.toml"):
            obtain(dataset(settings, huge), settings, config=QUICK)
    assert server.requests == []


def test_a_catalogue_that_names_other_bytes_fetches_them_and_replaces_the_folder(tmp_path):
    settings = settings_for(tmp_path)
    with serve(BODY) as server:
        obtain(dataset(settings, entry(server.address)), settings, config=QUICK)
        server.body = OTHER
        tiny = dataset(settings, entry(server.address, OTHER))
        assert plan(tiny, settings).state == "missing"
        obtain(tiny, settings, config=QUICK)
    assert music(settings) == {"tiny/set/a.mid": b"c" * 1000}


@pytest.mark.parametrize("body", [zipped(("../evil.mid", b"x")), zipped((RECEIPT, b"{}")), BODY[:-30]])
def test_an_archive_that_must_not_be_unpacked_leaves_nothing_and_what_was_there_stays(tmp_path, body):
    settings = settings_for(tmp_path)
    with serve(BODY) as server:
        obtain(dataset(settings, entry(server.address, None)), settings, config=QUICK)
        before = below(settings.raw)
        server.body = body
        with pytest.raises(ArchiveError, match="nothing was unpacked"):
            obtain(dataset(settings, entry(server.address, None)), settings, config=QUICK, force=True)
    assert below(settings.raw) == before
    assert not (settings.raw / ".archives").exists()


@pytest.mark.parametrize("name", ["../tiny.zip", "a/b.zip", "/tiny.zip", "", ".", RECEIPT])
def test_an_archives_name_is_that_of_a_file(tmp_path, name):
    settings = settings_for(tmp_path)
    with pytest.raises(DownloadError, match="must be that of a file"):
        obtain(dataset(settings, replace(entry("https://tiny.example"), name=name)), settings)


# Several processes, and deaths

PROCESS = """
import sys, time
from pathlib import Path
from builders import settings_in
from pianogen.catalogue import Archive, Dataset
from pianogen.download import obtain

said = []

def say(line):
    print(line, flush=True)
    said.append(line)

def progress(done, total):
    if done >= {stop_at} and said[-1].endswith("unpacking"):
        print("ready", flush=True)
        time.sleep(60)

settings = settings_in(Path({folder!r}))
tiny = Dataset(name="tiny", title="Tiny", folder=settings.raw / "tiny", archives=({archive!r},), licence="CC BY 4.0",
               homepage="https://tiny.example")
print(obtain(tiny, settings, progress=progress, say=say).num_files)
"""


def start(folder: Path, archive: Archive, stop_at: int = 10**9) -> subprocess.Popen:
    code = PROCESS.format(folder=str(folder), archive=archive, stop_at=stop_at)
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_a_killed_download_goes_on_where_it_was(tmp_path):
    settings = settings_for(tmp_path)
    part = settings.raw / ".archives/tiny/tiny.zip.part"
    with serve(BODY, [Reply(stall_after=700)]) as server:
        with start(tmp_path, entry(server.address, None)) as process:
            wait_until(lambda: size_of(part) == 700)
            process.send_signal(signal.SIGKILL)
        assert not (settings.raw / "tiny").exists()
        tiny = dataset(settings, entry(server.address, None))
        assert plan(tiny, settings).archives[0].done_bytes == 700
        obtain(tiny, settings, config=QUICK)
    assert [(r.range, r.if_range) for r in server.requests] == [(None, None), ("bytes=700-", '"first"')]
    assert music(settings) == WHOLE


def test_a_killed_unpacking_begins_anew_from_the_archive_that_is_here(tmp_path):
    settings = settings_for(tmp_path)
    members = [(f"set/{i}.mid", b"%d" % i * 1000) for i in range(5)]
    body = zipped(*members, ("set/big.mid", bytes(4000)))
    with serve(body) as server:
        with start(tmp_path, entry(server.address, body), stop_at=2000) as process:
            assert process.stdout is not None
            wait_until(lambda: process.stdout is not None and process.stdout.readline() == "ready\n")
            process.send_signal(signal.SIGKILL)
        assert not (settings.raw / "tiny").exists()
        left = [path.name for path in settings.raw.iterdir() if path.name.startswith(".tiny.") and path.is_dir()]
        assert len(left) == 1
        assert len(below(settings.raw / left[0])) == 2
        obtain(dataset(settings, entry(server.address, body)), settings, config=QUICK)
    assert len(server.requests) == 1, "the archive was whole already"
    assert music(settings) == {f"tiny/{name}": data for name, data in [*members, ("set/big.mid", bytes(4000))]}
    assert {path.name for path in settings.raw.iterdir()} <= {"tiny", ".tiny.lock"}


def test_two_downloads_at_once_fetch_it_once(tmp_path):
    settings = settings_for(tmp_path)
    with serve(BODY, [Reply(pause_sec=0.05)]) as server:
        processes = [start(tmp_path, entry(server.address)) for _ in range(2)]
        said = [process.communicate(timeout=30)[0] for process in processes]
    assert [text.splitlines()[-1] for text in said] == ["2", "2"]
    assert len(server.requests) == 1
    assert sum("another process is fetching it; waiting" in text for text in said) <= 1
    assert music(settings) == WHOLE


def test_threads_of_one_process_do_not_harm_each_other_either(tmp_path):
    settings = settings_for(tmp_path)
    with serve(BODY, [Reply(pause_sec=0.02)]) as server:
        tiny, done = dataset(settings, entry(server.address)), []
        threads = [threading.Thread(target=lambda: done.append(obtain(tiny, settings))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [receipt.num_files for receipt in done] == [2, 2, 2]
    assert len(server.requests) == 1


FULL = """
import resource, sys
from pathlib import Path
from pianogen.archives.extraction import extract
from pianogen.catalogue import Archive
from pianogen.errors import PianogenError
from pianogen.fetch import fetch

folder, address = Path(sys.argv[1]), sys.argv[2]
resource.setrlimit(resource.RLIMIT_FSIZE, (800, 800))
for work in (
    lambda: fetch(address, folder / "a.zip", Archive(name="a.zip", url=address, kind="zip")),
    lambda: extract(folder / "whole.zip", "zip", folder / "out"),
):
    try:
        work()
    except PianogenError as error:
        print(type(error).__name__, error)
"""


def test_a_disk_that_takes_no_more_ends_both_steps_and_leaves_no_half_of_a_dataset(tmp_path):
    (tmp_path / "whole.zip").write_bytes(BODY)
    with serve(BODY) as server:
        command = [sys.executable, "-c", FULL, str(tmp_path), server.address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    fetching, unpacking = done.stdout.splitlines()
    assert fetching == f"DownloadError {tmp_path / 'a.zip.part'}: cannot be written: File too large"
    assert unpacking.startswith("ArchiveError ")
    assert "File too large; nothing" in unpacking
    # What came so far stays, to go on from; of the dataset there is nothing.
    assert {path.name for path in tmp_path.iterdir()} == {"whole.zip", "a.zip.part", "a.zip.part.json"}
    assert (tmp_path / "a.zip.part").read_bytes() == BODY[:800]


# The dry run, the settings, the command


def test_the_plan_names_sources_sizes_licence_and_disk_and_asks_nobody(tmp_path):
    with serve(BODY) as server:
        settings = settings_for(tmp_path, "https://user:secret@mirror.example/midi")
        tiny = dataset(settings, entry(server.address), non_commercial=True, licence="CC BY-NC-SA 4.0")
        planned = plan(tiny, settings)
        assert planned.state == "missing"
        assert planned.needed_bytes == 5 * len(BODY)
        lines = planned.lines
        assert lines[0] == "tiny: licence CC BY-NC-SA 4.0 (no commercial use)"
        assert lines[2:4] == ["  1. https://mirror.example/midi/tiny.zip", f"  2. {server.address}/tiny.zip"]
        assert "MB needed" in lines[-1]
        assert not settings.raw.exists()
        obtain(replace(tiny), settings_for(tmp_path), config=QUICK)
        assert plan(tiny, settings).state == "here"
        assert plan(tiny, settings, force=True).state == "missing"
        assert plan(replace(tiny, folder=tmp_path), settings).state == "yours"


@pytest.mark.parametrize(
    "text, what",
    [
        ("[download]\nmirror = []", "unknown key 'mirror'"),
        ('[download]\nmirrors = "https://a/"', "mirrors must be a list"),
        ('[download]\nmirrors = ["ftp://a/"]', "begin with https://, http://, file:///"),
        ("[download]\noffline = 1", "offline must be true or false"),
        ("download = 1", "a table expected"),
    ],
)
def test_settings_that_are_wrong_are_named(tmp_path, text, what):
    from pianogen.errors import SettingsError

    (tmp_path / "pianogen.toml").write_text(text)
    with pytest.raises(SettingsError, match=what):
        load_settings(tmp_path / "pianogen.toml")


def command(folder: Path, server: Server, *words: str, typed: str | None = None) -> tuple[int, str, Exception | None]:
    config = folder / "pianogen.toml"
    config.write_text(f'[download]\nmirrors = ["{server.address}/"]\n')
    result = CliRunner().invoke(app, ["download", *words, "--config", str(config)], input=typed)
    return result.exit_code, result.stdout, result.exception if isinstance(result.exception, DownloadError) else None


def test_the_command_tells_before_it_fetches_and_needs_consent_where_the_licence_forbids_commerce(tmp_path):
    with serve(BODY) as server:
        code, said, _ = command(tmp_path, server, "asap", "--dry-run")
        assert code == 0
        assert "no commercial use" in said
        assert f"  1. {server.address}/" in said
        code, said, error = command(tmp_path, server, "asap")
        assert code == 1
        assert "may not be used commercially" in str(error)
        assert "--yes" in str(error)
        assert server.requests == []
        code, said, error = command(tmp_path, server, "asap", "--yes")
        assert (code, error) == (0, None)
        assert "asap: 2 files, 0.0 MB in" in said
        assert len(server.requests) == 1
        code, said, _ = command(tmp_path, server, "asap")
        assert code == 0
        assert "downloaded before" in said
        assert len(server.requests) == 1


@pytest.mark.parametrize("answer, num_requests", [("n", 0), ("y", 1)])
def test_at_a_terminal_the_licence_is_asked_about_before_the_first_byte(tmp_path, answer, num_requests):
    with serve(BODY) as server:
        config = tmp_path / "pianogen.toml"
        config.write_text(f'[download]\nmirrors = ["{server.address}/"]\n')
        words = [sys.executable, "-m", "pianogen.cli", "download", "asap", "--config", str(config)]
        typing, terminal = pty.openpty()
        try:
            os.write(typing, f"{answer}\n".encode())
            done = subprocess.run(words, stdin=terminal, capture_output=True, text=True, timeout=60)
        finally:
            os.close(typing)
            os.close(terminal)
        assert "may not be used commercially" in done.stdout
        assert len(server.requests) == num_requests
    assert done.returncode == (0 if num_requests else 1)
    assert (tmp_path / "data/raw/asap").exists() == bool(num_requests)


def test_the_catalogues_checksum_is_that_of_the_real_file(tmp_path, real_data):
    config = tmp_path / "pianogen.toml"
    config.write_text(f'[download]\noffline = true\nmirrors = ["{(real_data / "jsb").as_uri()}"]\n')
    result = CliRunner().invoke(app, ["download", "jsb", "--config", str(config)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "jsb: 1 files, 1.7 MB" in result.stdout
