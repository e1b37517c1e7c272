"""A listening test as it is drawn: pairs, sides, repeats, and what its page does not tell."""

import json
import re
from collections import Counter

import pytest
from corpora import improvise, write_midi
from listening_tests import write_page, write_sets
from samples_in_lake import write_samples

from pianogen.errors import ListeningError
from pianogen.lake import Lake
from pianogen.listening.page import TEMPLATES, ListeningConfig, make_test
from pianogen.listening.pairs import draw_pairs
from pianogen.listening.sets import cut, read_set
from pianogen.report.words import spanish

NAMES = [f"n{i}" for i in range(12)]


def test_sides_are_even_and_pairs_differ():
    pairs = draw_pairs([f"a{i}" for i in range(7)], NAMES, num_pairs=20, num_repeats=0, seed=3)
    assert len({(pair.sample_a, pair.sample_b) for pair in pairs}) == 20
    assert Counter(pair.is_swapped for pair in pairs) == {True: 10, False: 10}
    assert {pair.sample_b for pair in pairs} == set(NAMES), "every sample is heard before one comes twice"


def test_samples_of_one_name_stand_beside_each_other():
    pairs = draw_pairs(NAMES, NAMES, num_pairs=12, num_repeats=0, seed=1)
    assert all(pair.sample_a == pair.sample_b for pair in pairs)
    assert [pair.sample_a for pair in pairs] != NAMES, "in an order of their own"


def test_repeats_come_later_with_the_sides_changed():
    pairs = draw_pairs(NAMES, NAMES, num_pairs=10, num_repeats=4, seed=2)
    again = [(i, pair) for i, pair in enumerate(pairs, start=1) if pair.repeat_of]
    assert len(pairs) == 14
    assert len(again) == 4
    for number, pair in again:
        first = pairs[pair.repeat_of - 1]
        assert pair.repeat_of < number
        assert first.repeat_of is None
        assert (first.sample_a, first.sample_b) == (pair.sample_a, pair.sample_b)
        assert first.is_swapped != pair.is_swapped


def test_the_seed_decides_alone():
    drawn = [draw_pairs(NAMES, NAMES[:5], num_pairs=9, num_repeats=2, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert draw_pairs(NAMES[::-1], NAMES[4::-1], num_pairs=9, num_repeats=2, seed=1) == drawn[0]


def test_there_are_no_more_pairs_than_there_can_be():
    assert len(draw_pairs(["a"], ["b", "c"], num_pairs=20, num_repeats=3, seed=1)) == 3, "two, and one of them again"


def test_the_page_tells_nothing_of_who_is_who(tmp_path):
    page, key, _ = write_page(tmp_path, pairs=6, seed=77)
    text = page.read_text()
    names = {pair[side]["sample"] for pair in key["pairs"] for side in "AB"}
    assert len(names) > 6
    for secret in (*names, *key["sets"].values(), "is_swapped", '"seed"', "repeat_of", str(tmp_path)):
        assert secret not in text, secret
    shown = re.findall(r'<script type="application/json" class="pair">(.*?)</script>', text)
    assert len(shown) == len(key["pairs"])
    assert {frozenset(side) for pair in shown for side in json.loads(pair)} == {
        frozenset({"notes", "pedal", "duration_sec"})
    }


def test_the_key_says_which_notes_are_whose(tmp_path):
    page, key, _ = write_page(tmp_path, pairs=5)
    lake = Lake(tmp_path / "lake")
    sets = {"a": read_set(str(tmp_path / "human"), lake), "b": read_set(str(tmp_path / "model"), lake)}
    shown = re.findall(r'<script type="application/json" class="pair">(.*?)</script>', page.read_text())
    for pair, text in zip(key["pairs"], shown, strict=True):
        for side, music in zip("AB", json.loads(text), strict=True):
            assert sets[pair[side]["set"]].data(pair[side]["sample"], 60) == music


def test_the_same_settings_give_the_same_page_and_another_seed_another_test(tmp_path):
    first, key, _ = write_page(tmp_path, pairs=4)
    text = first.read_text()
    second, again, _ = write_page(tmp_path, pairs=4)
    assert (second.read_text(), again) == (text, key)
    assert write_page(tmp_path, pairs=4, seed=2)[1]["test"] != key["test"]


def test_samples_of_experiments_are_taken_from_the_lake(tmp_path):
    lake = Lake(tmp_path / "lake")
    write_samples(lake, quick=3, slow=3)
    page, key = make_test(read_set("quick", lake), read_set("slow", lake), ListeningConfig(pairs=3))
    assert key["sets"] == {"a": "quick", "b": "slow"}
    assert all(pair["A"]["sample"] == pair["B"]["sample"] for pair in key["pairs"]), "the same prompt"
    assert "prompted" not in page
    with pytest.raises(ListeningError, match=r"nothing: neither a folder .* those that have some: quick, slow"):
        read_set("nothing", lake)


def test_folders_of_one_name_are_told_apart_and_one_folder_is_refused(tmp_path):
    for place in ("x", "y"):
        write_midi(tmp_path / place / "samples" / f"{place}.mid", improvise(1, 8))
    lake = Lake(tmp_path / "lake")
    x, y = (read_set(str(tmp_path / place / "samples"), lake) for place in ("x", "y"))
    assert make_test(x, y)[1]["sets"] == {"a": x.where, "b": y.where}
    with pytest.raises(ListeningError, match="both sets are this one"):
        make_test(x, x)


def test_what_is_no_performance_is_named(tmp_path):
    a, b = write_sets(tmp_path, num=1)
    (tmp_path / "model" / "model_0.mid").write_bytes(b"junk")
    lake = Lake(tmp_path / "lake")
    with pytest.raises(ListeningError, match=r"model: model_0\.mid is no performance, not_midi"):
        make_test(read_set(a, lake), read_set(b, lake))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ListeningError, match="empty: no MIDI or MusicXML file"):
        read_set(str(tmp_path / "empty"), lake)


@pytest.mark.parametrize("settings", [{"pairs": 0}, {"seconds": -1}, {"repeats": -1}, {"language": "fr"}])
def test_settings_that_cannot_be_meant_are_refused(settings):
    with pytest.raises(ListeningError):
        ListeningConfig(**settings)


def test_a_beginning_ends_where_it_is_cut():
    music = {
        "notes": [[60, 0.0, 1.0, 80, 5.0], [62, 1.0, 4.0, 80], [64, 3.5, 1.0, 80]],
        "pedal": [[0.0, 6.0], [7.0, 8.0]],
        "duration_sec": 6.0,
    }
    assert cut(music, 3.0) == {
        "notes": [[60, 0.0, 1.0, 80, 2.0], [62, 1.0, 2.0, 80]],
        "pedal": [[0.0, 3.0]],
        "duration_sec": 3.0,
    }
    assert cut(music, 0) == cut(music, 10) == music


def test_every_text_of_the_page_has_its_spanish():
    said = set(re.findall(r't\("([^"]+)"', (TEMPLATES / "listening.html").read_text()))
    said |= set(re.findall(r'attr\("aria-label", "([^"]+)"', (TEMPLATES / "listening.html").read_text()))
    script = (TEMPLATES / "listening.js").read_text()
    said |= {a or b for a, b in re.findall(r'Words\.say\(\w+, "([^"]+)"|[?:] "([A-Z][^"]+)"', script)}
    known = spanish(TEMPLATES / "listening.es.json")
    assert said == known.keys()
    for english, text in known.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", english))
