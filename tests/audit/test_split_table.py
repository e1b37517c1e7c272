from pathlib import Path

import pytest

from pianogen.audit.split_table import find_listed, read_split_table, split_name
from pianogen.errors import SettingsError


def table(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "splits.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "path,split\na.mid,train\nb c.mid,test\n",
        "File;Subset;note\r\na.mid;training;x\r\nb c.mid;TEST;y\r\n",
        "\ufeffsplit\tmidi_filename\ntrain\ta.mid\n\ntest\tb c.mid\n",
        'title,split,filename\n"A, or B",train,a.mid\n,test,"b c.mid"\n',
    ],
)
def test_tables_of_many_hands_say_the_same(tmp_path, text):
    assert read_split_table(table(tmp_path, text)).splits == {"a.mid": "train", "b c.mid": "test"}


def test_splits_have_one_name_each():
    names = ["train", " Training", "valid", "val", "dev", "validation", "TEST", "fold 3", ""]
    assert [split_name(name) for name in names] == [
        "train", "train", "validation", "validation", "validation", "validation", "test", "fold 3", "",
    ]  # fmt: skip


def test_composer_and_title_come_along_without_what_steers_a_page(tmp_path):
    found = read_split_table(
        table(tmp_path, "path,split,canonical_title,canonical_composer\na,train,Op. 1\u202e,Berg\n")
    )
    assert found.titles == {"a": "Berg: Op. 1\\u202e"}


@pytest.mark.parametrize(
    "text, says",
    [
        ("name,split\na.mid,train\n", "no column of paths; name one of them path or file or filename"),
        ("path,year\na.mid,2004\n", "no column of splits; name one of them split or subset.*found: path, year"),
        ("", "no column of paths.*found: none"),
        ("path,split\n", "no rows"),
        ("path,split\na.mid,train\na.mid,test\n", "line 3: a.mid is in train and in test"),
        ("path,split\na.mid\n", "line 2: 2 values expected, found 1"),
        ("path,split\n,train\n", "line 2: no path"),
        ('path,split\n"a.mid,train\n', "not CSV"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(tmp_path, text, says):
    with pytest.raises(SettingsError, match=says):
        read_split_table(table(tmp_path, text))


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.csv: the splits cannot be read"):
        read_split_table(tmp_path / "nowhere.csv")


def test_bytes_that_are_not_utf_8_still_name_their_file(tmp_path):
    listed = read_split_table(table(tmp_path, b"path,split\ncaf\xe9.mid,train\n"))
    assert find_listed(listed.splits, tmp_path, ["caf\\xe9.mid"])[0].keys() == {"caf\\xe9.mid"}


NAMES = ["2004/a.midi", "2004/b.midi", "2006/b.midi", "Caf\u00e9/c.mid", "deep/er/d.mid"]


@pytest.mark.parametrize(
    "path, name",
    [
        ("2004/a.midi", "2004/a.midi"),
        ("./2004/a.midi", "2004/a.midi"),
        ("2004\\a.midi", "2004/a.midi"),
        ("/data/music/2004/a.midi", "2004/a.midi"),
        ("maestro-v3.0.0/2004/a.midi", "2004/a.midi"),
        ("a.midi", "2004/a.midi"),
        ("cafe\u0301/C.MID", "Caf\u00e9/c.mid"),
        ("er/d.mid", "deep/er/d.mid"),
        ("b.midi", None),
        ("2005/a.midi", None),
        ("e.mid", None),
    ],
)
def test_a_path_means_the_one_file_that_it_can_mean(path, name):
    found, missing = find_listed([path], Path("/data/music"), NAMES)
    assert (list(found), missing) == (([name], []) if name else ([], [path]))


def test_of_two_paths_for_one_file_the_second_is_told():
    assert find_listed(["a.midi", "2004/a.midi"], Path("x"), NAMES) == ({"2004/a.midi": "a.midi"}, ["2004/a.midi"])
