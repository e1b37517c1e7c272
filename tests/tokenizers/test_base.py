"""How tokenizers are named, made, saved, and added."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import notes, settings_in, write_tiny_lake

from pianogen.augment import AugmentConfig
from pianogen.errors import SettingsError
from pianogen.midi.blocks import music_block
from pianogen.shards import ShardSet, build_shards
from pianogen.tokenizers.base import (
    ATTRIBUTES,
    KNOWN,
    TokenBlock,
    can_transpose,
    kept_tokenizer,
    load_tokenizer,
    make_tokenizer,
    save_tokenizer,
)
from pianogen.tokenizers.lists import as_lists, token_block_of

DOCS = Path(__file__).resolve().parents[2] / "docs" / "tokenizers"
MADE = {name: {"name": name} for name in KNOWN if name != "subwords"}
MADE["subwords"] = {"name": "subwords", "base": {"name": "remi"}, "model": "bpe"}


@pytest.mark.parametrize("name", KNOWN)
def test_every_tokenizer_has_a_page_and_what_the_protocol_asks_for(name):
    coder = make_tokenizer(MADE[name])
    page = (DOCS / f"{name}.md").read_text()
    assert page.startswith(f"# {name}")
    assert "## Source" in page
    assert f"[`{name}`]({name}.md)" in (DOCS / "README.md").read_text()
    assert coder.name == name
    assert coder.carries <= set(ATTRIBUTES)
    assert bool(coder.vocab) == (coder.width == 1)
    assert re.fullmatch(r"[0-9a-f]{16}", coder.version)
    assert len(coder.decode(coder.encode(notes((0, 60, 1), (1, 64, 1))))) == 2


@pytest.mark.parametrize("name", KNOWN)
def test_a_tokenizer_that_was_saved_is_the_same_when_loaded(name, tmp_path):
    coder = make_tokenizer(MADE[name])
    save_tokenizer(coder, tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert loaded.version == coder.version
    assert loaded.options == coder.options
    music = notes((0, 60, 1), (0.5, 67, 2))
    assert np.array_equal(loaded.encode(music), coder.encode(music))


@pytest.mark.parametrize(
    "options",
    [
        {"rests": True},
        {"metres": True, "known_metres": ["7/8", "4/4", "3/8", "3/4"]},
        {"chords": True, "chord_roots": True, "unknown_chords": True, "tempos": True, "programs": True},
    ],
)
def test_options_in_miditoks_words_are_kept_and_saved_as_they_are(options, tmp_path):
    own = make_tokenizer({"name": "remi", **options})
    settings = {"name": "miditok", "scheme": "REMI", "config": own.config.in_miditok}
    assert json.loads(json.dumps(settings)) == settings
    coder = make_tokenizer(settings)
    assert coder.vocab == own.vocab
    save_tokenizer(coder, tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert (loaded.options, loaded.vocab) == (coder.options, coder.vocab)
    assert kept_tokenizer(settings).vocab == coder.vocab
    music = notes((0, 60, 1), (0, 64, 1), (0, 67, 1), (4, 67, 2))
    assert np.array_equal(loaded.encode(music), coder.encode(music))


def test_a_tokenizer_that_cannot_be_loaded_as_it_was_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    save_tokenizer(make_tokenizer({"name": "remi"}), path)
    path.write_text(path.read_text().replace('"version": "', '"version": "0'))
    with pytest.raises(SettingsError, match=r"saved by version 0.*build the shards again"):
        load_tokenizer(path)
    path.write_text("[]")
    with pytest.raises(SettingsError, match=r"tokenizer\.json: no saved tokenizer"):
        load_tokenizer(path)


@pytest.mark.parametrize(
    "name, says",
    [
        ("nothing", "'nothing' is not known; known: remi, .*, and yours as my_module:MyTokenizer"),
        ("no_such_module:Mine", "'no_such_module:Mine' cannot be loaded: No module named"),
        ("json:Mine", "'json:Mine' cannot be loaded: module 'json' has no attribute 'Mine'"),
        (":Mine", "':Mine' cannot be loaded: Empty module name"),
        ("..json:Mine", "'..json:Mine' cannot be loaded: the 'package' argument is required"),
        ("os:getcwd", "'os:getcwd' must have decode, vocab, options, found a str without"),
        ("os:sep", "os:sep: 'str' object is not callable"),
    ],
)
def test_what_is_no_tokenizer_is_named(name, says):
    with pytest.raises(SettingsError, match=says):
        make_tokenizer({"name": name})


def test_the_tokenizer_of_the_docs_makes_shards(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(# my_tokens\.py\n.*?)```", (DOCS / "README.md").read_text(), re.DOTALL)
    (tmp_path / "my_tokens.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_tokens", raising=False)
    lake = write_tiny_lake(tmp_path / "lake")
    tokenizer = {"name": "my_tokens:Pitches", "lowest_pitch": 40}
    augment = AugmentConfig(semitones=(0, 2))
    build_shards(lake, settings_in(tmp_path), name="mine", tokenizer=tokenizer, augment=augment)
    shards = ShardSet(lake, "mine")
    train = shards.sequences("train")
    assert len(train) == 16
    pitches = shards.tokenizer.decode(train[0]).pitch.astype(int)
    assert np.array_equal(shards.tokenizer.decode(train[1]).pitch, pitches + 2)
    lowest = make_tokenizer({"name": "my_tokens:Pitches", "lowest_pitch": 0})
    assert lowest.decode(lowest.encode(notes((0, 0, 1), (1, 60, 1)))).pitch.tolist() == [0, 60]


IDS = {name: settings for name, settings in MADE.items() if name not in ("continuous", "miditok")}
IDS["note_chord"] = {"name": "note_chord", "vocab": "all"}


@pytest.mark.parametrize("name", IDS)
def test_ids_out_of_the_vocabulary_are_passed_over_in_decoding_and_named_elsewhere(name):
    coder = make_tokenizer(IDS[name])
    num = len(coder.vocab)
    ids = coder.encode(notes((0, 60, 1), (1, 64, 1))).astype(np.int64)
    strange = np.concatenate(([num, 60_000], ids))
    assert coder.decode(strange).pitch.tolist() == coder.decode(ids).pitch.tolist()
    says = f"ids must lie in 0-{num - 1}, since the vocabulary has {num}; found {num}"
    with pytest.raises(ValueError, match=says):
        coder.bar_starts(strange)
    with pytest.raises(ValueError, match="found -1"):
        coder.bar_starts(np.append(ids, -1))
    if can_transpose(coder):
        with pytest.raises(ValueError, match=says):
            coder.transpose(strange, 1)
        with pytest.raises(ValueError, match=says):
            coder.semitone_bounds(None, TokenBlock(strange, np.array([0, len(strange)])))


def test_edges_of_tokens_span_them():
    values = np.arange(6, dtype=np.uint16)
    for edges in ([1, 3, 6], [0, 3]):
        with pytest.raises(ValueError, match=rf"edges must go from 0 to 6, .*found {edges[0]} to {edges[-1]}"):
            TokenBlock(values, np.array(edges))


def test_a_slice_of_a_column_holds_its_own_tokens_alone():
    coder = make_tokenizer({"name": "performance"})
    tokens = coder.encode_block(music_block([notes((0, 60 + k, 1)) for k in range(4)]))
    part = token_block_of(as_lists(tokens)[1:3])
    assert part.edges.tolist() == (tokens.edges[1:4] - tokens.edges[1]).tolist()
    assert coder.decode_block(part).pitch.tolist() == [61, 62]
    assert len(token_block_of(as_lists(tokens)[2:2])) == 0
