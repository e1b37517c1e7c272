import io
import zipfile

import openpyxl
import pytest
from readings import catalogued, known, missing, read, write

INDEX = "song_id,name,artist,modify_times,num_beats_per_measure\n001,爱你,新乐,2,2\n2,木头人,黑涩,0,2\n"
FILES = {"001/001.mid": b"", "001/versions/001-v1.mid": b"", "002/002.mid": b""}


@pytest.mark.parametrize("root", ["", "POP909/", "POP909-Dataset-d83e6ed/POP909/"])
def test_songs_have_names_and_versions_lead_to_their_song(tmp_path, root):
    write(tmp_path, {root + name: content for name, content in FILES.items()})
    write(tmp_path, {"index.csv": INDEX})
    dataset = catalogued("pop909", tmp_path)
    metadata = read(dataset)
    assert metadata.notes == ()
    song = {"title": "爱你", "work": "爱你", "performer": "新乐"}
    assert known(metadata) == {
        f"{root}001/001.mid": song,
        f"{root}001/versions/001-v1.mid": {**song, "version": "v1"},
        f"{root}002/002.mid": {"title": "木头人", "work": "木头人", "performer": "黑涩"},
    }
    (link,) = metadata.links.to_pylist()
    assert (link["path"], link["linked_path"]) == (f"{root}001/versions/001-v1.mid", "001/001.mid")
    assert (link["linked_dataset"], link["relation"]) == ("pop909", "version_of")
    absent = missing(dataset)
    assert absent is not None
    assert absent[:2] == ("001/versions/001-v2.mid", "003/003.mid")
    assert len(absent) == 1 + 907


def workbook(*rows: tuple) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_the_index_of_the_original_archive_is_a_workbook(tmp_path):
    write(tmp_path, FILES)
    header = ("song_id", "name", "artist", "num_beats_per_measure", "modify_times")
    rows = [(1, "爱你", "新乐", 2, 2.0), ("002", 9420, "黑涩", 2, 0), (), ("003", "short")]
    write(tmp_path, {"index.xlsx": workbook(header, *rows)})
    dataset = catalogued("pop909", tmp_path)
    metadata = read(dataset)
    assert metadata.notes == ()
    assert known(metadata)["002/002.mid"] == {"title": "9420", "work": "9420", "performer": "黑涩"}
    absent = missing(dataset)
    assert absent is not None
    assert absent[:2] == ("001/versions/001-v2.mid", "003/003.mid")


def bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(65 * 2**20))
    return file.getvalue()


@pytest.mark.parametrize(
    "content, note",
    [
        (b"PK", "index.xlsx: not a workbook that can be read (BadZipFile: File is not a zip file)"),
        (workbook()[:-40], "index.xlsx: not a workbook that can be read (BadZipFile: File is not a zip file)"),
        (bomb(), "index.xlsx: more than 64 MiB unpacked; not read"),
        (
            workbook(("song_id", "name")),
            "index.xlsx: no column artist, modify_times; found: song_id, name; its metadata",
        ),
        (workbook(), "index.xlsx: no column song_id, name, artist, modify_times; found: ; its metadata are not read"),
    ],
)
def test_a_workbook_that_cannot_be_read_is_told(tmp_path, content, note):
    write(tmp_path, {**FILES, "index.xlsx": content})
    metadata = read(catalogued("pop909", tmp_path))
    assert metadata.notes[0].startswith(note)
    assert metadata.sources.num_rows == 3


def test_without_an_index_songs_are_known_by_number_and_the_lack_is_told(tmp_path):
    write(tmp_path, FILES)
    dataset = catalogued("pop909", tmp_path)
    assert known(read(dataset))["001/versions/001-v1.mid"] == {"version": "v1"}
    assert read(dataset).notes == (
        "neither index.xlsx nor index.csv is in the dataset's folder: no names and artists of songs",
    )
    assert len(missing(dataset) or ()) == 907


@pytest.mark.parametrize(
    "name, note",
    [
        ("000/000.mid", "a file whose name is not 001.mid to 909.mid, nor 001-v1.mid …: 000/000.mid"),
        ("readme.mid", "a file whose name is not 001.mid to 909.mid, nor 001-v1.mid …: readme.mid"),
        ("077/077.mid", "a song that no row of the index names: 077/077.mid"),
    ],
)
def test_files_that_do_not_belong_are_told(tmp_path, name, note):
    write(tmp_path, {**FILES, name: b"", "index.csv": INDEX})
    metadata = read(catalogued("pop909", tmp_path))
    assert metadata.notes == (note,)
    assert metadata.sources.num_rows == 4


def test_the_real_index_names_every_version(real_data, tmp_path):
    dataset = catalogued("pop909", real_data / "pop909")
    metadata = read(dataset)
    assert metadata.notes == ()
    absent = missing(dataset)
    assert absent is not None
    assert metadata.sources.num_rows + len(absent) == dataset.num_files == 2898
    assert metadata.sources["title"].null_count == 0
