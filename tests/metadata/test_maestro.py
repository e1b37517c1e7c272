import json
import os
from collections import Counter

import pytest
from readings import catalogued, known, missing, read, write

HEADER = "canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration\n"
ROWS = (
    'Frédéric Chopin,"Ballade No. 1, Op. 23",train,2004,2004/a.midi,2004/a.wav,1.5\n'
    'Joseph Haydn,"Sonata ""in C""\nsecond line",validation,2008,2008/b.midi,2008/b.wav,2\n'
)
CHOPIN = {
    "title": "Ballade No. 1, Op. 23",
    "composer": "Frédéric Chopin",
    "work": "Ballade No. 1, Op. 23",
    "year": 2004,
    "published_split": "train",
    "kind": "performance",
}


@pytest.mark.parametrize("root", ["", "maestro-v3.0.0/"])
def test_a_csv_names_each_performance_with_or_without_the_archives_folder(tmp_path, root):
    write(tmp_path, {f"{root}{name}": b"" for name in ("2004/a.midi", "2008/b.midi", "2008/b.wav", "LICENSE")})
    write(tmp_path, {f"{root}maestro-v3.0.0.csv": HEADER + ROWS})
    dataset = catalogued("maestro_v3", tmp_path)
    metadata = read(dataset)
    assert metadata.notes == ()
    assert known(metadata)[f"{root}2004/a.midi"] == CHOPIN
    assert known(metadata)[f"{root}2008/b.midi"]["title"] == 'Sonata "in C"\nsecond line'
    assert known(metadata)[f"{root}2008/b.midi"]["published_split"] == "validation"
    assert metadata.sources["archive_path"].to_pylist() == ["2004/a.midi", "2008/b.midi"]
    assert set(metadata.sources["licence"].to_pylist()) == {"CC BY-NC-SA 4.0"}
    assert metadata.sources["non_commercial"].to_pylist() == [True, True]
    assert missing(dataset) == ()


def test_json_by_rows_or_by_columns_says_the_same(tmp_path):
    row = {
        "canonical_composer": "Frédéric Chopin",
        "canonical_title": "Ballade No. 1, Op. 23",
        "split": "train",
        "year": 2004,
        "midi_filename": "2004/a.midi",
        "duration": 1.5,
    }
    for name, content in (("rows", [row]), ("columns", {key: {"0": value} for key, value in row.items()})):
        folder = tmp_path / name
        write(folder, {"2004/a.midi": b"", "maestro-v2.0.0.json": json.dumps(content)})
        metadata = read(catalogued("maestro_v2", folder))
        assert (known(metadata), metadata.notes) == ({"2004/a.midi": CHOPIN}, ())


def test_a_partial_copy_lists_what_is_missing(tmp_path):
    write(tmp_path, {"2008/b.midi": b"", "2008/other.midi": b"", "maestro-v3.0.0.csv": HEADER + ROWS})
    dataset = catalogued("maestro_v3", tmp_path)
    metadata = read(dataset)
    assert metadata.notes == (
        "a row names a file that is not here: maestro-v3.0.0.csv line 2: 2004/a.midi",
        "a file that no row names: 2008/other.midi",
    )
    assert known(metadata)["2008/other.midi"] == {}
    assert missing(dataset) == ("2004/a.midi",)


@pytest.mark.parametrize(
    "content, note",
    [
        (None, "maestro-v3.0.0.csv is not in the dataset's folder: no composers, titles and splits;"),
        ("", "maestro-v3.0.0.csv: empty; no metadata"),
        (
            "composer,title\nA,B\n",
            "maestro-v3.0.0.csv: no column canonical_composer, canonical_title, split, year, midi_filename; "
            "found: composer, title; its metadata are not read",
        ),
        (
            HEADER + "A,B,train\n" + ROWS,
            "a row without exactly 7 values, passed over: maestro-v3.0.0.csv line 2 (3)",
        ),
        (
            HEADER + ROWS + ROWS.splitlines()[0],
            "a second row for the same file, passed over: maestro-v3.0.0.csv line 5",
        ),
        (
            HEADER + "A,B,holdout,2004,2004/a.midi,c,1\n",
            "a published split that is not train, validation or test: maes",
        ),
        (
            HEADER + "A,B,train,MMIV,2004/a.midi,c,1\n",
            "a year that is not a number from 1 to 2999: maestro-v3.0.0.csv line 2: 'MMIV'",
        ),
        (
            HEADER + ROWS + 'A,"never closed',
            "a row that is not CSV: maestro-v3.0.0.csv line 5 (unexpected end of data)",
        ),
        (HEADER + 'A,"x"y,train,1,z,c,1\n' + ROWS, "a row that is not CSV: maestro-v3.0.0.csv line 2 (',' expected"),
        (
            HEADER + f"{'A' * 200_000},B,train,1,z,c,1\n" + ROWS,
            "a row that is not CSV: maestro-v3.0.0.csv line 2 (field",
        ),
        (HEADER + "A,B,train,1,,c,1\n" + ROWS, "a row without midi_filename, passed over: maestro-v3.0.0.csv line 2"),
        (
            (HEADER + ROWS).encode("latin-1"),
            "bytes that are not UTF-8, kept as \\x..: maestro-v3.0.0.csv line 2",
        ),
    ],
)
def test_broken_metadata_are_told_and_the_rest_is_read(tmp_path, content, note):
    write(tmp_path, {"2004/a.midi": b"music", "2008/b.midi": b"music"})
    if content is not None:
        write(tmp_path, {"maestro-v3.0.0.csv": content})
    metadata = read(catalogued("maestro_v3", tmp_path))
    assert [said for said in metadata.notes if said.startswith(note)], metadata.notes
    assert metadata.sources.num_rows == 2
    if content is not None and ROWS in str(content):
        assert known(metadata)["2004/a.midi"] == CHOPIN
        assert known(metadata)["2008/b.midi"]["composer"] == "Joseph Haydn"


def test_text_of_another_encoding_stays_data(tmp_path):
    content = (HEADER + ROWS).encode("latin-1").replace(b"2004/a.midi", b"2004/\xe9.midi")
    write(tmp_path, {"maestro-v3.0.0.csv": content, "2008/b.midi": b""})
    write(tmp_path, {os.fsdecode(b"2004/\xe9.midi"): b""})
    metadata = read(catalogued("maestro_v3", tmp_path))
    assert known(metadata)["2004/\\xe9.midi"]["composer"] == "Fr\\xe9d\\xe9ric Chopin"
    assert missing(catalogued("maestro_v3", tmp_path)) == ()


@pytest.mark.parametrize(
    "content, note",
    [
        ("{", "maestro-v3.0.0.json: not JSON (Expecting property name"),
        ("[" * 100_000, "maestro-v3.0.0.json: not JSON ("),
        ("{}", "maestro-v3.0.0.json: neither rows nor the columns canonical_composer"),
        ("[3]", "a row without canonical_composer, canonical_title, split, year, midi_filename, passed over: maestro"),
        (
            '[{"canonical_composer":"\\ud800","canonical_title":"t","split":"test","year":1,"midi_filename":"\\udfff"}]',
            "a row names a file that is not here: maestro-v3.0.0.json row 0: \\\\udfff",
        ),
    ],
)
def test_broken_json_is_told(tmp_path, content, note):
    write(tmp_path, {"2004/a.midi": b"music", "maestro-v3.0.0.json": content})
    metadata = read(catalogued("maestro_v3", tmp_path))
    assert [said for said in metadata.notes if said.startswith(note)], metadata.notes
    assert known(metadata) == {"2004/a.midi": {}}


def test_half_a_character_in_json_can_be_stored(tmp_path):
    row = '{"canonical_composer":"\\ud800","canonical_title":"t","split":"test","year":1,"midi_filename":"a.midi"}'
    write(tmp_path, {"a.midi": b"music", "maestro-v3.0.0.json": f"[{row}]"})
    assert known(read(catalogued("maestro_v3", tmp_path)))["a.midi"]["composer"] == "\\ud800"


def test_a_csv_that_is_a_link_out_of_the_folder_is_not_read(tmp_path):
    write(tmp_path, {"music/2004/a.midi": b"", "secret.csv": HEADER + ROWS})
    (tmp_path / "music" / "maestro-v3.0.0.csv").symlink_to(tmp_path / "secret.csv")
    metadata = read(catalogued("maestro_v3", tmp_path / "music"))
    assert metadata.notes[0] == "maestro-v3.0.0.csv: a link that leaves the dataset's folder; not read"
    assert known(metadata) == {"2004/a.midi": {}}
    followed = read(catalogued("maestro_v3", tmp_path / "music", follow_links=True))
    assert known(followed)["2004/a.midi"] == CHOPIN


def test_many_broken_rows_make_one_note_that_counts_them(tmp_path):
    write(tmp_path, {"2004/a.midi": b"", "maestro-v3.0.0.csv": HEADER + "A,B\n" * 1000})
    (note,) = read(catalogued("maestro_v3", tmp_path)).notes
    assert note.startswith("a row without exactly 7 values, passed over (1000 times): maestro-v3.0.0.csv line 2 (2); ")
    assert len(note) < 400


def test_the_real_csv_has_the_published_splits(real_data, tmp_path):
    dataset = catalogued("maestro_v3", real_data / "maestro")
    metadata = read(dataset)
    files = metadata.sources.num_rows
    assert files == 242
    assert all(row.keys() >= {"title", "composer", "year", "published_split"} for row in known(metadata).values())
    absent = missing(dataset)
    assert absent is not None
    assert files + len(absent) == dataset.num_files == 1276
    assert Counter(metadata.sources["published_split"].to_pylist()) == {"train": 177, "test": 45, "validation": 20}
