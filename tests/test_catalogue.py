import contextlib
import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builders import settings_in
from ingests import folder_dataset

from pianogen import catalogue
from pianogen.catalogue import find_dataset, known_datasets, list_files, list_names, load_catalogue, look_at
from pianogen.catalogue_entries import load_entries
from pianogen.errors import SettingsError
from pianogen.parallel import map_blocks
from pianogen.settings import FolderDataset, load_settings


def names(folder: Path) -> list[str]:
    return [file.name for file in list_files(folder_dataset(folder))]


def write_settings(folder: Path, text: str) -> Path:
    path = folder / "pianogen.toml"
    path.write_text(text)
    return path


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


def test_an_unknown_dataset_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(
        SettingsError, match=r"dataset 'bach' is not known; known: music21_bach, maestro_v3, .*giantmidi"
    ):
        find_dataset(settings_in(tmp_path), "bach")


def test_a_dataset_is_at_hand_when_it_is_downloaded_or_named(tmp_path):
    settings = replace(settings_in(tmp_path), starter=False)
    assert load_catalogue(settings) == ()
    (tmp_path / "raw" / "pop909" / "deep").mkdir(parents=True)
    assert load_catalogue(settings) == ()
    (tmp_path / "raw" / "pop909" / "deep" / "001.mid").write_bytes(b"music")
    assert [dataset.name for dataset in load_catalogue(settings)] == ["pop909"]
    settings = load_settings(
        write_settings(tmp_path, "starter = false\n[datasets.asap]\nfolder = 'x'\n[datasets.jsb]\nsplit = 'test'\n")
    )
    assert [dataset.name for dataset in load_catalogue(replace(settings, raw=tmp_path / "raw"))] == ["pop909", "asap"]


def test_every_dataset_of_the_catalogue_is_known_wherever_it_lies(tmp_path):
    known = known_datasets(settings_in(tmp_path))
    assert [dataset.name for dataset in known] == list(load_entries())
    for dataset in known[1:]:
        assert dataset.folder == tmp_path / "raw" / dataset.name
        assert dataset.licence != "not stated"
        assert dataset.homepage
    assert {dataset.name for dataset in known if dataset.parts == "piano"} == {
        "lakh_full",
        "lakh_matched",
        "lakh_clean",
    }
    assert {d.name for d in known if d.non_commercial} == {"maestro_v3", "maestro_v2", "asap"}


def test_settings_choose_folder_split_and_parts_of_a_catalogued_dataset(tmp_path):
    text = """
    [datasets.lakh_clean]
    folder = "midi"
    parts = "all"
    follow_links = true
    [datasets.music21_bach]
    split = "test"
    [datasets.mine]
    folder = "own"
    metadata = "maestro"
    parts = "piano"
    """
    settings = load_settings(write_settings(tmp_path, text))
    lakh, bach, mine = (find_dataset(settings, name) for name in ("lakh_clean", "music21_bach", "mine"))
    assert (lakh.folder, lakh.parts, lakh.split, lakh.follow_links) == (tmp_path / "midi", "all", "auto", True)
    assert (lakh.licence, lakh.num_files) == (find_dataset(settings_in(tmp_path), "lakh_clean").licence, 17252)
    assert (bach.split, len(list_files(bach))) == ("test", 408)
    assert (mine.parts, mine.split, mine.metadata) == ("piano", "auto", "maestro")
    assert [dataset.name for dataset in load_catalogue(settings)] == ["music21_bach", "lakh_clean", "mine"]


def test_only_the_datasets_own_files_count_with_or_without_the_archives_folder(tmp_path):
    dataset = replace(find_dataset(settings_in(tmp_path), "maestro_v3"), folder=tmp_path)
    for name in ("2004/a.midi", "maestro-v3.0.0/2006/b.MIDI", "c.mid", "a.wav", "maestro-v3.0.0.csv", "LICENSE"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    expected = ["2004/a.midi", "c.mid", "maestro-v3.0.0/2006/b.MIDI"]
    assert [file.name for file in list_files(dataset)] == expected == list_names(dataset)
    assert len(names(tmp_path)) == 6


def test_the_members_of_one_file_are_files_with_bytes_of_their_own(tmp_path):
    dataset = replace(find_dataset(settings_in(tmp_path), "jsb"), folder=tmp_path)
    assert list_files(dataset) == []
    path = tmp_path / "Jsb16thSeparated.json"
    path.write_text('{"train": [[[60, 55, 52, 48]], [[62,55,52,48]]], "test": [[[60, 55, 52, 48]]]}')
    files = list_files(dataset)
    assert [file.name for file in files] == [f"{path.name}/{m}" for m in ("test/000", "train/000", "train/001")]
    assert files[0].data == b"[[60,55,52,48]]"
    assert files[0].file_id == files[1].file_id == hashlib.sha256(b"[[60,55,52,48]]").hexdigest()
    assert (files[0].size_bytes, files[0].path) == (15, str(path))
    assert list_names(dataset) == [file.name for file in files]
    path.write_text("{")
    (broken,) = list_files(dataset)
    assert (broken.name, broken.file_id) == (path.name, None)
    assert broken.problem.startswith("not JSON: Expecting property name")


def test_the_real_chorales_have_the_published_counts(real_data, tmp_path):
    dataset = replace(find_dataset(settings_in(tmp_path), "jsb"), folder=real_data / "jsb")
    files = list_files(dataset)
    assert len(files) == dataset.num_files == 382
    splits = Counter(file.name.split("/")[1] for file in files)
    assert splits == dataset.published_splits == {"train": 229, "valid": 76, "test": 77}
    (archive,) = dataset.archives
    data = Path(files[0].path).read_bytes()
    assert (archive.size_bytes, archive.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_where_names_are_md5_the_bytes_are_hashed_for_it_too(tmp_path):
    (tmp_path / "a.mid").write_bytes(b"music")
    lakh = replace(find_dataset(settings_in(tmp_path), "lakh_full"), folder=tmp_path)
    assert [file.md5 for file in list_files(lakh)] == [hashlib.md5(b"music").hexdigest()]
    assert [file.md5 for file in list_files(folder_dataset(tmp_path))] == [None]


def test_workers_list_what_one_process_lists(tmp_path, monkeypatch):
    for i in range(200):
        (tmp_path / f"{i}.mid").write_bytes(b"%d" % i)
    (tmp_path / "nowhere.mid").symlink_to(tmp_path / "missing")
    dataset = replace(folder_dataset(tmp_path), metadata="lakh")
    alone = list_files(dataset)
    shared = []
    monkeypatch.setattr("pianogen.catalogue._MANY_FILES", 150)
    monkeypatch.setattr("pianogen.catalogue.map_blocks", lambda *args: shared.append(args) or map_blocks(*args))
    listed = list_files(dataset, replace(settings_in(tmp_path), workers=2))
    assert len(shared) == 1
    # A stamp may turn trusted between two looks at new files.
    assert [replace(file, stamp=None) for file in listed] == [replace(file, stamp=None) for file in alone]
    assert len(alone) == 201


def test_a_file_is_known_by_its_bytes(tmp_path):
    (tmp_path / "a.mid").write_bytes(b"music")
    (file,) = list_files(folder_dataset(tmp_path))
    assert (file.name, file.size_bytes, file.problem) == ("a.mid", 5, "")
    assert file.file_id == hashlib.sha256(b"music").hexdigest()


def test_an_empty_and_a_missing_folder_hold_no_files(tmp_path):
    assert names(tmp_path) == []
    assert names(tmp_path / "missing") == []
    assert look_at(tmp_path / "missing") == look_at(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file at hand that opens and fails to be read")
def test_a_file_that_fails_while_it_is_read_is_listed_with_its_problem(tmp_path):
    (tmp_path / "broken.mid").symlink_to("/proc/self/mem")
    files = list_files(replace(folder_dataset(tmp_path), follow_links=True))
    assert [(file.name, file.problem) for file in files] == [("broken.mid", "Input/output error")]


def test_a_file_that_vanishes_while_the_folder_is_listed_is_told(tmp_path, monkeypatch):
    for name in ("a.mid", "b.mid"):
        (tmp_path / name).write_bytes(b"music")

    def walk_then_remove(*arguments, _walk=catalogue.walk, **options):
        found = list(_walk(*arguments, **options))
        (tmp_path / "b.mid").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(catalogue, "walk", walk_then_remove)
    assert problems(tmp_path) == {"b.mid": "gone since its folder was listed"}
    assert names(tmp_path) == ["a.mid"]


def test_a_folder_that_cannot_be_walked_is_listed_whatever_the_pattern(open_folder):
    (open_folder / "2004").mkdir(mode=0)
    with without_privileges():
        (file,) = list_files(replace(folder_dataset(open_folder), pattern="*.midi"))
    assert (file.name, file.problem) == ("2004", "a folder that cannot be opened")


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
