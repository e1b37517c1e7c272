from ingests import folder_dataset
from readings import catalogued, known, missing, read, write

from pianogen.catalogue_entries import METADATA_READERS
from pianogen.metadata import READERS
from pianogen.metadata.findings import archive_path
from pianogen.tables import SCHEMAS


def test_the_settings_allow_the_readers_that_there_are():
    assert sorted(READERS) == list(METADATA_READERS)


def test_a_dataset_without_metadata_has_a_row_for_each_file(tmp_path):
    write(tmp_path, {"a.mid": b"", "odd\nname.txt": b""})
    dataset = folder_dataset(tmp_path)
    metadata = read(dataset)
    assert metadata.sources.schema == SCHEMAS["sources"]
    assert metadata.links.schema == SCHEMAS["links"]
    assert known(metadata) == {"a.mid": {}, "odd\\x0aname.txt": {}}
    assert set(metadata.sources["licence"].to_pylist()) == {"not stated"}
    assert (metadata.notes, missing(dataset)) == ((), None)


def test_a_file_that_cannot_be_read_has_a_row_too(tmp_path):
    (tmp_path / "a.midi").symlink_to(tmp_path / "nowhere")
    assert known(read(catalogued("maestro_v3", tmp_path))) == {"a.midi": {}}


def test_leading_folders_are_taken_off_as_long_as_they_are_the_archives(tmp_path):
    dataset = catalogued("pop909", tmp_path)
    assert archive_path(dataset, "POP909-Dataset-d83e6ed/POP909/001/001.mid") == "001/001.mid"
    assert archive_path(dataset, "mine/POP909/001/001.mid") == "mine/POP909/001/001.mid"
    assert archive_path(dataset, "POP909") == "POP909"


def test_giantmidi_names_tell_composer_and_title(tmp_path):
    names = (
        "Bach, Johann Sebastian, Fugue in C, BWV 846, abcdefghij-.mid",
        "Couperin, , Les Barricades, _bcdefghijk.mid",
        "beethoven_sonata.mid",
    )
    write(tmp_path, {f"midis/{name}": b"" for name in names})
    metadata = read(catalogued("giantmidi", tmp_path))
    kind = {"kind": "performance"}
    assert known(metadata) == {
        f"midis/{names[0]}": {
            **kind,
            "title": "Fugue in C, BWV 846",
            "work": "Fugue in C, BWV 846",
            "composer": "Johann Sebastian Bach",
        },
        f"midis/{names[1]}": {**kind, "title": "Les Barricades", "work": "Les Barricades", "composer": "Couperin"},
        f"midis/{names[2]}": {},
    }
    assert metadata.notes == (f"a name that is not 'Surname, First names, Title, youtubeid.mid': midis/{names[2]}",)


def test_chorales_keep_their_published_split(tmp_path):
    chorale = "[[[60,55,52,48]]]"
    write(tmp_path, {"Jsb16thSeparated.json": f'{{"valid": {chorale}, "dev2": {chorale}}}'})
    dataset = catalogued("jsb", tmp_path, published_splits={"valid": 2})
    metadata = read(dataset)
    score = {"composer": "Johann Sebastian Bach", "kind": "score"}
    assert known(metadata) == {
        "Jsb16thSeparated.json/dev2/000": score,
        "Jsb16thSeparated.json/valid/000": {**score, "published_split": "validation"},
    }
    assert metadata.notes == (
        "a published split that is not train, validation or test: Jsb16thSeparated.json/dev2/000: 'dev2'",
        "split 'valid' has 1 chorales, 2 were published",
    )
    assert missing(dataset) == ("Jsb16thSeparated.json/valid/001",)
    write(tmp_path, {"Jsb16thSeparated.json": "{"})
    assert read(dataset).notes[0] == "a file without chorales: Jsb16thSeparated.json"


def test_the_real_chorales_lack_nothing(real_data, tmp_path):
    dataset = catalogued("jsb", real_data / "jsb")
    assert read(dataset).notes == ()
    assert missing(dataset) == ()
