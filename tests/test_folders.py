import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.folders import hash_file, name_matcher, printable, walk


def names(folder: Path, **options: bool) -> list[str]:
    return sorted(found.name for found in walk(folder, **options))


def problems(folder: Path, **options: bool) -> dict[str, str]:
    return {found.name: found.problem for found in walk(folder, **options) if found.problem}


def test_every_name_but_those_that_begin_with_a_dot_is_found(tmp_path):
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


def test_every_path_that_was_found_opens(tmp_path):
    for name in (b"\xff\xfe.mid", b"new\nline.mid", "é".encode(), b"back\\slash"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(name)
    assert sorted(Path(found.path).read_bytes() for found in walk(tmp_path)) == sorted(
        (b"\xff\xfe.mid", b"new\nline.mid", "é".encode(), b"back\\slash")
    )


@pytest.mark.parametrize(
    "raw, shown",
    [
        (b"a/\xe9\x1b[31m.mid", "a/\\xe9\\x1b[31m.mid"),
        (b"a\\xe9", "a\\\\xe9"),
        (b"\x9b", "\\x9b"),
        ("\x9b".encode(), "\\u009b"),
        ("a\u202egnp.mid".encode(), "a\\u202egnp.mid"),
        ("👩\u200d🎤.mid".encode(), "👩\u200d🎤.mid"),
        (b"plain name.mid", "plain name.mid"),
    ],
)
def test_a_name_is_text_that_any_terminal_can_hold(raw, shown):
    assert printable(Path(os.fsdecode(raw))) == shown == printable(os.fsdecode(raw))


def unescaped(text: str) -> bytes:
    """What `printable` was given: backslashes, bytes and characters taken back."""
    out, i = b"", 0
    while i < len(text):
        if text[i] != "\\":
            out, i = out + text[i].encode(), i + 1
        elif text[i + 1] == "\\":
            out, i = out + b"\\", i + 2
        elif text[i + 1] == "x":
            out, i = out + bytes([int(text[i + 2 : i + 4], 16)]), i + 4
        else:
            out, i = out + chr(int(text[i + 2 : i + 6], 16)).encode(), i + 6
    return out


@given(st.binary(max_size=40) | st.text("\\xu0289abe\x9b\x85\u202e\n", max_size=12).map(str.encode))
def test_no_two_names_come_out_the_same(raw):
    assert unescaped(printable(os.fsdecode(raw))) == raw


def test_patterns_fit_any_of_several_in_any_case():
    fits = name_matcher("*.mid *.midi")
    assert [bool(fits(name)) for name in ("a.mid", "A.MIDI", "a b.Mid", "a.mid.txt", "mid", "new\nline.mid")] == [
        True,
        True,
        True,
        False,
        False,
        True,
    ]
    assert name_matcher("*")("anything")


def test_links_inside_are_followed_once_and_loops_end(tmp_path):
    music = tmp_path / "music"
    (music / "sub").mkdir(parents=True)
    (music / "sub" / "a.mid").write_bytes(b"music")
    (music / "link.mid").symlink_to(music / "sub" / "a.mid")
    (music / "another_name_of_sub").symlink_to(music / "sub")
    (music / "sub" / "up").symlink_to(music)
    assert names(music) == ["link.mid", "sub/a.mid"]


def test_a_walk_may_begin_at_a_link(tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "a.mid").write_bytes(b"")
    (tmp_path / "begin").symlink_to(tmp_path / "music")
    assert list(problems(tmp_path / "begin")) == []
    assert names(tmp_path / "begin") == ["a.mid"]


def test_links_that_leave_the_folder_are_told_and_followed_on_request_alone(tmp_path):
    music, elsewhere = tmp_path / "music", tmp_path / "music_elsewhere"
    for folder in (music, elsewhere):
        folder.mkdir()
        (folder / "a.mid").write_bytes(b"music")
    (music / "link.mid").symlink_to(elsewhere / "a.mid")
    (music / "linked").symlink_to(elsewhere)
    (music / "linked_again").symlink_to(Path("..") / elsewhere.name)
    leaves = "a link that leaves the dataset's folder"
    assert problems(music) == dict.fromkeys(("link.mid", "linked", "linked_again"), leaves)
    assert problems(music, follow_links=True) == {}
    assert names(music, follow_links=True) == ["a.mid", "link.mid", "linked/a.mid"]


def test_what_is_no_file_is_told(tmp_path):
    os.mkfifo(tmp_path / "pipe.mid")
    (tmp_path / "dangling.mid").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a.mid").symlink_to(tmp_path / "b.mid")
    (tmp_path / "b.mid").symlink_to(tmp_path / "a.mid")
    (tmp_path / "device.mid").symlink_to("/dev/zero")
    assert problems(tmp_path, follow_links=True) == {
        "pipe.mid": "not a regular file",
        "dangling.mid": "a link to nowhere",
        "a.mid": "a link to nowhere",
        "b.mid": "a link to nowhere",
        "device.mid": "not a regular file",
    }


@pytest.mark.parametrize("size", [0, 1, 4096, 2**20, 2**20 + 1, 3 * 2**20])
def test_a_hash_is_that_of_all_bytes(tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "a").write_bytes(data)
    digests = hash_file(str(tmp_path / "a"), with_md5=True)
    assert digests[:3] == (hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest(), size)
    assert hash_file(str(tmp_path / "a")).md5 is None


def test_a_pipe_in_the_place_of_a_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        hash_file(str(tmp_path / "pipe"))
