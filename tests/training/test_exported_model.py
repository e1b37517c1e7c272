"""An exported model is loaded by transformers and MidiTok, and says the same as it does here."""

import contextlib
import dataclasses
import json
import re
import shutil
import subprocess
import sys
from itertools import islice
from types import SimpleNamespace

import miditok
import numpy as np
import pytest
import torch
import transformers
import yaml
from builders import settings_in, write_tiny_experiment
from projects import tune
from symusic import Score

from pianogen.errors import SettingsError, TrainingError
from pianogen.evaluation.evaluations import evaluate_run
from pianogen.lake import Lake
from pianogen.midi.columns import music_of_tables
from pianogen.midi.render import midi_bytes
from pianogen.models import load_model
from pianogen.models.gru import Gru
from pianogen.reading import parse_file
from pianogen.shards import ShardSet
from pianogen.tokenizers.base import BOS_ID, make_tokenizer
from pianogen.train import StopSignal, train_experiment
from pianogen.training.experiment import load_experiment
from pianogen.training.export import export_model, in_miditok
from pianogen.training.runs import run_folder

EXPORTED = [
    "README.md",
    "config.json",
    "generation_config.json",
    "lineage.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_settings.json",
]


def trained(shared_lake, folder, steps, **model):
    """A finished run of a few steps."""
    settings = dataclasses.replace(settings_in(folder), lake=shared_lake)
    path = write_tiny_experiment(folder, steps=steps, validate_every=steps, checkpoint_every=steps)
    if model:
        sections = yaml.safe_load(path.read_text())
        sections["model"] = {"context_length": 32, "dropout": 0.1, **model}
        path.write_text(yaml.safe_dump(sections))
    config = load_experiment(path)
    assert train_experiment(config, settings, StopSignal()) == 0
    lake = Lake(shared_lake)
    return SimpleNamespace(lake=lake, settings=settings, config=config, run=run_folder(lake, settings.runs, config))


@pytest.fixture(scope="module")
def finished(shared_lake, tmp_path_factory):
    return trained(shared_lake, tmp_path_factory.mktemp("finished"), 120)


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "model"
    done = export_model(finished.run, folder, finished.lake)
    assert list(done.files) == sorted(path.name for path in folder.iterdir()) == EXPORTED
    return folder


@pytest.mark.parametrize("of_run", [False, True])
def test_transformers_loads_it_and_its_logits_are_those_of_the_model_here(finished, exported, of_run):
    best = finished.run / "best"
    theirs = transformers.AutoModelForCausalLM.from_pretrained(best if of_run else exported).eval()
    assert type(theirs) is transformers.GPT2LMHeadModel
    shards = ShardSet(finished.lake, "tiny")
    ours = load_model(best, "gpt2", len(shards.tokenizer.vocab))
    ids = torch.from_numpy(shards.sequences("test")[0][:32].astype(np.int64))[None]
    with torch.inference_mode():
        torch.testing.assert_close(theirs(ids).logits, ours(ids).logits, rtol=0, atol=1e-6)


def test_transformers_generates_from_it_what_miditok_decodes_to_the_music_that_we_decode(finished, exported, tmp_path):
    model = transformers.AutoModelForCausalLM.from_pretrained(exported)
    said = model.generation_config
    assert (said.pad_token_id, said.bos_token_id, said.eos_token_id) == (0, 1, 2)
    torch.manual_seed(1)
    ids = model.generate(max_new_tokens=31)[0].tolist()
    assert ids[0] == BOS_ID
    theirs = miditok.REMI(params=exported / "tokenizer.json").decode([[one for one in ids if one > 2]])
    ours = ShardSet(finished.lake, "tiny").tokenizer.decode(np.array(ids))
    assert len(ours) > 3
    (track,) = theirs.tracks
    found = sorted((n.time, n.pitch, n.duration, n.velocity) for n in track.notes)
    columns = (ours.onset_tick, ours.pitch, ours.duration_tick, ours.velocity)
    assert theirs.ticks_per_quarter == ours.ticks_per_quarter
    assert found == sorted(zip(*(column.tolist() for column in columns), strict=True))


CODERS = {
    "remi": {"name": "remi"},
    "remi with all": {"name": "remi", "pedal": True, "tempos": True, "metres": True, "rests": True},
    "tsd": {"name": "tsd", "positions_per_quarter": 12, "num_velocities": 0},
    "midi_like": {"name": "midi_like", "lowest_pitch": 30, "pedal": True},
    "miditok": {"name": "miditok", "scheme": "REMI", "config": {"use_chords": True}},
}


@pytest.mark.parametrize("settings", CODERS.values(), ids=CODERS.keys())
def test_a_file_gets_from_miditok_as_exported_the_ids_that_it_gets_here(settings, tmp_path, request):
    paths = [tmp_path / "tune.mid"]
    paths[0].write_bytes(midi_bytes(tune(1)))
    with contextlib.suppress(pytest.skip.Exception):
        maestro = request.getfixturevalue("real_data") / "maestro"
        paths += islice(sorted(maestro.rglob("*.mid*")), 3, None, 150)
    coder = make_tokenizer(settings)
    in_miditok(coder).save(tmp_path / "tokenizer.json")
    theirs = miditok.MusicTokenizer.from_pretrained(str(tmp_path))
    assert sorted(theirs.vocab, key=theirs.vocab.get) == list(coder.vocab)
    for path in paths:
        parsed = parse_file(path)
        ours = coder.encode(music_of_tables(parsed.tables, parsed.ticks_per_quarter))
        (sequence,) = theirs.encode(Score(path))
        assert sequence.ids == ours.tolist(), path
        assert len(ours) > 100


def test_a_tokenizer_that_miditok_does_not_have_is_refused_and_may_be_left_out():
    with pytest.raises(SettingsError, match=r"tokenizer jsb: MidiTok has no scheme of these tokens; .*--no-tokenizer"):
        in_miditok(make_tokenizer({"name": "jsb"}))


def test_the_weights_are_those_of_the_run_and_the_lineage_goes_with_them(finished, exported):
    for name in ("model.safetensors", "lineage.json"):
        assert (exported / name).read_bytes() == (finished.run / "best" / name).read_bytes()


def test_the_card_says_what_it_is_where_it_comes_from_and_what_may_be_done_with_it(finished, tmp_path):
    run = shutil.copytree(finished.run, tmp_path / "tiny" / finished.run.name)
    path = run / "best" / "lineage.json"
    lineage = json.loads(path.read_text())
    parent = {"experiment": "base", "run_id": "0123", "split_version": "s0", "certificate": "c0"}
    lineage |= {"licences": {"maestro": "CC BY-NC-SA 4.0"}, "non_commercial_datasets": ["maestro"]}
    path.write_text(json.dumps({**lineage, "parents": [parent], "parents_check": "unchecked"}))
    lake = Lake(shutil.copytree(finished.lake.root, tmp_path / "lake"))
    done = export_model(run, tmp_path / "before", lake, with_miditok=False)
    assert done.non_commercial == ("maestro",)
    assert "tokenizer.json" not in done.files
    card = (tmp_path / "before" / "README.md").read_text()
    for text in (
        "**Not for commercial use**: maestro forbids it",
        "| maestro | CC BY-NC-SA 4.0 |",
        "gpt2, 7,344 parameters",
        f"| certificate | `{lineage['certificate']}` |",
        f"| split version | `{lineage['split_version']}` |",
        "| base | `0123` | `s0` | `c0` |",
        "**not known**: nobody checked",
        "the test split was not scored yet",
    ):
        assert text in card
    evaluate_run(lake, finished.settings.runs, finished.config)
    export_model(finished.run, tmp_path / "after", lake)
    card = (tmp_path / "after" / "README.md").read_text()
    assert re.search(r"\| test \| 3 \| \d+\.\d{4} \| \d\.\d{4} \|", card)
    assert "No licence of the training music is known to forbid commercial use." in card
    assert "Fine-tune" not in card
    # Before licences were recorded nothing was known of them.
    path.write_text(json.dumps(lineage | {"licences": None, "non_commercial_datasets": None}))
    export_model(run, tmp_path / "unknown", lake)
    assert "Take it as not for commercial use" in (tmp_path / "unknown" / "README.md").read_text()


def test_what_the_card_says_of_loading_is_so(finished, exported, shared_lake, tmp_path, monkeypatch):
    gru = trained(shared_lake, tmp_path, 2, name="gru", n_embd=8, n_hidden=16, window=8)
    export_model(gru.run, tmp_path / "gru", gru.lake)
    assert not (tmp_path / "gru" / "generation_config.json").exists()
    for folder, kind in ((exported, transformers.GPT2LMHeadModel), (tmp_path / "gru", Gru)):
        monkeypatch.chdir(folder)
        made = {}
        for code in re.findall(r"^```python\n(.*?)^```$", (folder / "README.md").read_text(), re.M | re.S):
            exec(code, made)
        assert type(made["model"]) is kind
        assert type(made["tokenizer"]) is miditok.REMI
        assert len(made["tokenizer"]) == 220


def test_nothing_is_replaced_that_nobody_asked_for_and_nothing_but_an_export(finished, exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "model")
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    with pytest.raises(TrainingError, match=r"model: is there; --force replaces it"):
        export_model(finished.run, folder, finished.lake)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    (folder / "old").touch()
    export_model(finished.run, folder, finished.lake, force=True)
    assert sorted(path.name for path in folder.iterdir()) == EXPORTED
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").touch()
    with pytest.raises(TrainingError, match="holds something else than an exported model"):
        export_model(finished.run, precious, finished.lake, force=True)
    assert (precious / "thesis.tex").exists()
    (tmp_path / "empty").mkdir()
    export_model(finished.run, tmp_path / "empty", finished.lake)


def test_an_export_that_fails_leaves_no_folder_and_one_that_is_killed_what_the_next_one_removes(
    finished, tmp_path, monkeypatch
):
    monkeypatch.setattr("pianogen.training.export.model_card", lambda *given, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_model(finished.run, tmp_path / "model", finished.lake)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    killed = (
        "import os, signal, sys\nfrom pathlib import Path\nimport pianogen.training.export as export\n"
        "from pianogen.lake import Lake\n"
        "export.model_card = lambda *given, **options: os.kill(os.getpid(), signal.SIGKILL)\n"
        "export.export_model(Path(sys.argv[1]), Path(sys.argv[2]), Lake(Path(sys.argv[3])), with_miditok=False)\n"
    )
    places = [finished.run, tmp_path / "model", finished.lake.root]
    done = subprocess.run([sys.executable, "-c", killed, *map(str, places)], check=False)
    assert done.returncode == -9
    assert not (tmp_path / "model").exists()
    assert len(list(tmp_path.iterdir())) == 1
    export_model(finished.run, tmp_path / "model", finished.lake)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
