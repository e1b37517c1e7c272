import hashlib

from readings import catalogued, known, missing, read, write

MD5 = hashlib.md5(b"music").hexdigest()


def test_clean_files_are_named_by_artist_and_title(tmp_path):
    names = ("ABBA/Waterloo.mid", "ABBA/Waterloo.2.mid", "it's/No. 5.mid", "loose.mid")
    write(tmp_path, {f"clean_midi/{name}": b"music" for name in names})
    dataset = catalogued("lakh_clean", tmp_path)
    metadata = read(dataset)
    assert known(metadata) == {
        "clean_midi/ABBA/Waterloo.mid": {"title": "Waterloo", "performer": "ABBA"},
        "clean_midi/ABBA/Waterloo.2.mid": {"title": "Waterloo", "performer": "ABBA", "version": ".2"},
        "clean_midi/it's/No. 5.mid": {"title": "No. 5", "performer": "it's"},
        "clean_midi/loose.mid": {},
    }
    assert metadata.notes == ("a file named neither by an MD5 nor by artist and title: clean_midi/loose.mid",)
    assert missing(dataset) is None


def test_a_name_that_is_not_the_md5_of_the_bytes_is_told(tmp_path):
    write(tmp_path, {f"lmd_full/{MD5[0]}/{MD5}.mid": b"music", f"lmd_full/0/{'0' * 32}.mid": b"music"})
    metadata = read(catalogued("lakh_full", tmp_path))
    assert metadata.notes == (f"a file whose name is not the MD5 of its bytes: lmd_full/0/{'0' * 32}.mid ({MD5})",)
    assert metadata.sources["archive_path"].to_pylist() == [f"0/{'0' * 32}.mid", f"{MD5[0]}/{MD5}.mid"]


def test_matched_files_lie_under_their_song(tmp_path):
    name = f"lmd_matched/A/A/A/TRAAAGR128F425B14B/{MD5}.mid"
    write(tmp_path, {name: b"music"})
    assert known(read(catalogued("lakh_matched", tmp_path))) == {name: {"work": "TRAAAGR128F425B14B"}}


def test_a_list_of_labels_names_files_by_md5(tmp_path):
    labels = (
        "path,md5,clean_midi_path,artist,title\n"
        f'x,{MD5},"Blood, Sweat/Song.3.mid","Blood, Sweat",Song\n'
        f"x,{MD5},Other/Song.mid,Other,Song\n"
    )
    write(tmp_path, {f"{MD5}.mid": b"music", "clean_midi_labels.csv": labels})
    metadata = read(catalogued("lakh_full", tmp_path))
    assert known(metadata) == {f"{MD5}.mid": {"title": "Song", "performer": "Blood, Sweat", "version": ".3"}}
    assert metadata.notes == (f"a second row for the same file, passed over: clean_midi_labels.csv line 3: {MD5}",)


def test_every_real_name_is_the_md5_of_its_bytes(real_data, tmp_path):
    metadata = read(catalogued("lakh_full", real_data / "lakh"))
    assert metadata.notes == ()
    assert metadata.sources.num_rows == 495
    labelled = [row for row in known(metadata).values() if "title" in row]
    assert len(labelled) == 325
    assert all("performer" in row for row in labelled)
