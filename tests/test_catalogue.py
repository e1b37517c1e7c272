import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builders import settings_in
from ingests import folder_dataset

from pianogen.catalogue import find_dataset, list_files, load_catalogue, look_at, printable
from pianogen.errors import SettingsError
from pianogen.settings import FolderDataset


def names(folder: Path) -> list[str]:
    return [file.name for file in list_files(folder_dataset(folder))]


def problems(folder: Path) -> dict[str, str]:
    return {file.name: file.problem for file in list_files(folder_dataset(folder)) if file.file_id is None}


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """As a user whom permissions bind, where the tests run as root."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user reaches; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        path.chmod(0o700)
    shutil.rmtree(folder)


def test_the_starter_data_are_the_408_chorale_files_of_music21(tmp_path):
    dataset = find_dataset(settings_in(tmp_path), "music21_bach")
    files = list_files(dataset)
    assert len(files) == dataset.num_files == 408
    assert len({file.file_id for file in files}) == 408
    assert all(file.name.endswith(".mxl") and not file.problem for file in files)


def test_the_catalogue_comes_before_the_users_folders_in_their_order(tmp_path):
    folders = tuple(FolderDataset(name=name, folder=tmp_path / name, split="test") for name in ("z", "a"))
    settings = replace(settings_in(tmp_path), folders=folders)
    assert [dataset.name for dataset in load_catalogue(settings)] == ["music21_bach", "z", "a"]
    assert [dataset.name for dataset in load_catalogue(replace(settings, starter=False))] == ["z", "a"]
    found = find_dataset(settings, "a")
    assert (found.folder, found.split, found.licence) == (tmp_path / "a", "test", "not stated")


def test_an_unknown_dataset_and_a_taken_name_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="dataset 'bach' is not known; known: music21_bach"):
        find_dataset(settings_in(tmp_path), "bach")
    taken = (FolderDataset(name="music21_bach", folder=tmp_path),)
    with pytest.raises(SettingsError, match=r"\[datasets.music21_bach\]: the catalogue has a dataset of that name"):
        load_catalogue(replace(settings_in(tmp_path), folders=taken))


def test_a_file_is_known_by_its_bytes(tmp_path):
    (tmp_path / "a.mid").write_bytes(b"music")
    (file,) = list_files(folder_dataset(tmp_path))
    assert (file.name, file.size_bytes, file.problem) == ("a.mid", 5, "")
    assert file.file_id == hashlib.sha256(b"music").hexdigest()


def test_an_empty_and_a_missing_folder_hold_no_files(tmp_path):
    assert names(tmp_path) == []
    assert names(tmp_path / "missing") == []
    assert look_at(tmp_path / "missing") == look_at(tmp_path)


def test_every_name_but_those_that_begin_with_a_dot_is_listed_in_order(tmp_path):
    for name in (
        "b.mid",
        "a b.mid",
        "it's.mid",
        'a "b".mid',
        "-rf.mid",
        "é🎹.mid",
        "no_suffix",
        "new\nline.mid",
        ".hidden",
    ):
        (tmp_path / name).write_bytes(b"")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.mid")).write_bytes(b"")
    for folder in ("deep/er", ".git", "folder.mid"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "c.mid").write_bytes(b"")
    assert names(tmp_path) == [
        "-rf.mid",
        "\\xff\\xfe.mid",
        'a "b".mid',
        "a b.mid",
        "b.mid",
        "deep/er/c.mid",
        "folder.mid/c.mid",
        "it's.mid",
        "new\\x0aline.mid",
        "no_suffix",
        "é🎹.mid",
    ]


def test_a_name_is_text_that_any_terminal_can_hold():
    assert printable(Path(os.fsdecode(b"a/\xe9\x1b[31m.mid"))) == "a/\\xe9\\x1b[31m.mid"


def test_links_are_followed_once_and_loops_end(tmp_path):
    music, elsewhere = tmp_path / "music", tmp_path / "elsewhere"
    for folder in (music / "sub", elsewhere):
        folder.mkdir(parents=True)
        (folder / "a.mid").write_bytes(b"music")
    (music / "link.mid").symlink_to(elsewhere / "a.mid")
    (music / "linked").symlink_to(elsewhere)
    (music / "linked_again").symlink_to(elsewhere)
    (music / "sub" / "up").symlink_to(music)
    assert names(music) == ["link.mid", "linked/a.mid", "sub/a.mid"]


def test_what_cannot_be_read_is_listed_with_its_problem(tmp_path):
    os.mkfifo(tmp_path / "pipe.mid")
    (tmp_path / "dangling.mid").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a.mid").symlink_to(tmp_path / "b.mid")
    (tmp_path / "b.mid").symlink_to(tmp_path / "a.mid")
    (tmp_path / "device.mid").symlink_to("/dev/zero")
    assert problems(tmp_path) == {
        "pipe.mid": "not a regular file",
        "dangling.mid": "a link to nowhere",
        "a.mid": "a link to nowhere",
        "b.mid": "a link to nowhere",
        "device.mid": "not a regular file",
    }


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file at hand that opens and fails to be read")
def test_a_file_that_fails_while_it_is_read_is_listed_with_its_problem(tmp_path):
    (tmp_path / "broken.mid").symlink_to("/proc/self/mem")
    assert problems(tmp_path) == {"broken.mid": "Input/output error"}


def test_files_and_folders_without_permission_are_listed_with_their_problem(open_folder):
    (open_folder / "open.mid").write_bytes(b"music")
    (open_folder / "closed.mid").write_bytes(b"music")
    (open_folder / "closed.mid").chmod(0)
    (open_folder / "closed").mkdir(mode=0)
    with without_privileges():
        assert problems(open_folder) == {
            "closed.mid": "Permission denied",
            "closed": "a folder that cannot be opened",
        }
        assert names(open_folder) == ["closed", "closed.mid", "open.mid"]


def test_a_dataset_whose_folder_cannot_be_opened_is_not_taken_as_empty(open_folder):
    (open_folder / "closed").mkdir(mode=0)
    with without_privileges(), pytest.raises(SettingsError, match=r"closed: the folder .* opened: Permission denied"):
        names(open_folder / "closed")
    (open_folder / "a_file").write_bytes(b"")
    with pytest.raises(SettingsError, match="a_file: the folder of a dataset cannot be opened: Not a directory"):
        names(open_folder / "a_file")


def test_a_look_tells_when_a_file_comes_goes_or_is_written_to(tmp_path):
    path = tmp_path / "a.mid"
    path.write_bytes(b"one")
    os.utime(path, ns=(1_000_000_000, 1_000_000_000))
    states = [look_at(tmp_path)]
    assert states[0][1] == 1.0
    assert look_at(tmp_path) == states[0]
    os.utime(path, ns=(2_000_000_000, 2_000_000_000))
    states.append(look_at(tmp_path))
    (tmp_path / "b.mid").write_bytes(b"two")
    states.append(look_at(tmp_path))
    path.unlink()
    states.append(look_at(tmp_path))
    assert len({state for state, _ in states}) == 4
