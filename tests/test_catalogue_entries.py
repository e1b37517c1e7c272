import re

import pytest

from pianogen.catalogue_entries import load_entries, parse_entries
from pianogen.errors import SettingsError

GOOD = """
mine:
  title: Mine
  homepage: https://example.org
  pattern: "*.mid"
  archives:
    - {name: a.zip, url: https://example.org/a.zip, kind: zip, size_bytes: 3, source: counted}
  facts:
    licence: {value: CC0, source: said so}
    num_files: {value: 3, source: guessed, verified: false}
    splits: {value: {train: 2, test: 1}, source: counted}
"""


def test_an_entry_keeps_every_fact_with_its_source():
    entry = parse_entries(GOOD)["mine"]
    assert [(fact.name, fact.value, fact.source, fact.verified) for fact in entry.facts] == [
        ("licence", "CC0", "said so", True),
        ("num_files", 3, "guessed", False),
        ("splits", {"train": 2, "test": 1}, "counted", True),
    ]
    assert (entry.value("num_files"), entry.value("hours")) == (3, None)
    (archive,) = entry.archives
    assert (archive.name, archive.kind, archive.size_bytes, archive.sha256) == ("a.zip", "zip", 3, None)


@pytest.mark.parametrize(
    "good, bad, message",
    [
        ("title: Mine", "titel: Mine", "mine: unknown key 'titel'; known keys: title, homepage, pattern, facts,"),
        ("  title: Mine\n", "", "mine: the key 'title' is missing"),
        ("title: Mine", "title: 3", "mine: title: str expected, found 3"),
        ("title: Mine", "title: Mine\n  split: dev", "mine: split: one of auto, train, validation, test, found 'dev'"),
        ("title: Mine", "title: Mine\n  reader: pdf", "mine: reader: one of files, jsb, found 'pdf'"),
        ("title: Mine", "title: Mine\n  parts: left", "mine: parts: one of all, piano, found 'left'"),
        ("title: Mine", "title: Mine\n  metadata: wiki", "mine: metadata: one of asap, giantmidi,"),
        ("title: Mine", "title: Mine\n  reader: jsb", "mine: sixteenth_sec: seconds with a point"),
        ("title: Mine", "title: Mine\n  non_commercial: maybe", "mine: non_commercial: bool expected, found 'maybe'"),
        ("kind: zip", "kind: rar", "mine: archives[0]: kind: one of zip, tar.gz, file, found 'rar'"),
        ("kind: zip, ", "", "mine: archives[0]: the key 'kind' is missing"),
        ("kind: zip", "kind: zip, sha265: ab", "mine: archives[0]: unknown key 'sha265'; known keys: name, url,"),
        ("size_bytes: 3", "size_bytes: true", "mine: archives[0]: size_bytes: int expected, found True"),
        ("source: said so", "sauce: said so", "mine: facts: licence: unknown key 'sauce'; known keys: value, source,"),
        (", source: said so", "", "mine: facts: licence: the key 'source' is missing"),
        ("licence: {value: CC0", "licence: {value: 3", "mine: facts: licence: text expected"),
        ("    licence: {value: CC0, source: said so}\n", "", "mine: facts: licence: text expected, found None"),
        ("value: 3", "value: many", "mine: facts: num_files: a whole number expected, found 'many'"),
        ("value: {train: 2, test: 1}", "value: 3", "mine: facts: splits: counts by split expected, found 3"),
        ("title: Mine", "title: [", "not valid YAML: "),
        ("mine:", "mine: 3\nother:", "mine: keys with values expected, found 3"),
    ],
)
def test_what_is_wrong_is_told_with_entry_and_key(good, bad, message):
    assert good in GOOD
    with pytest.raises(SettingsError, match=f"^datasets.yaml: {re.escape(message)}"):
        parse_entries(GOOD.replace(good, bad, 1))


def test_a_file_without_entries_is_refused():
    with pytest.raises(SettingsError, match=r"datasets\.yaml: names of datasets expected"):
        parse_entries("- a")


def test_the_catalogue_names_the_datasets_that_models_are_trained_on():
    assert list(load_entries()) == [
        "music21_bach",
        "maestro_v3",
        "maestro_v2",
        "jsb",
        "jsb_fast",
        "lakh_full",
        "lakh_matched",
        "lakh_clean",
        "pop909",
        "asap",
        "giantmidi",
    ]


def test_every_fact_and_archive_of_the_catalogue_says_where_it_was_read():
    for entry in load_entries().values():
        assert all(fact.source for fact in entry.facts), entry.name
        assert all(archive.source for archive in entry.archives), entry.name


def test_an_archive_without_size_or_checksum_is_not_called_verified():
    for entry in load_entries().values():
        for archive in entry.archives:
            if archive.size_bytes is None or archive.sha256 is None:
                assert not archive.verified, archive.name


def test_addresses_are_whole_and_pinned():
    for entry in load_entries().values():
        for archive in entry.archives:
            assert re.fullmatch(r"https?://[^ ]+", archive.url)
            # A branch of a repository moves; a commit does not.
            if "github" in archive.url:
                assert re.search(r"/[0-9a-f]{40}(/|$)", archive.url)
            assert re.fullmatch(r"[0-9a-f]{64}", archive.sha256 or "0" * 64)
            assert re.fullmatch(r"[0-9a-f]{32}", archive.md5 or "0" * 32)


def test_jsb_fast_is_jsb_at_another_pace():
    jsb, fast = load_entries()["jsb"], load_entries()["jsb_fast"]
    assert (jsb.sixteenth_sec, fast.sixteenth_sec) == (0.125, 0.05)
    assert (jsb.archives, jsb.pattern, jsb.reader) == (fast.archives, fast.pattern, fast.reader)
    assert fast.value("splits") == jsb.value("splits") == {"train": 229, "valid": 76, "test": 77}
