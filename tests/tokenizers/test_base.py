"""How tokenizers are named, made, saved, and added."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import notes, settings_in, write_tiny_lake

from pianogen.augment import AugmentConfig
from pianogen.errors import SettingsError
from pianogen.shards import ShardSet, build_shards
from pianogen.tokenizers.base import ATTRIBUTES, KNOWN, load_tokenizer, make_tokenizer, save_tokenizer

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
