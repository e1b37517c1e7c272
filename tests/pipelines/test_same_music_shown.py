"""What a real Dagster run shows of duplicates on the pages of the assets."""

import dataclasses
import shutil
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from projects import Project, tune

from pianogen.midi.columns import NoteColumns
from pianogen.midi.render import midi_bytes
from pipelines.definitions import build_definitions
from pipelines.showing import SHOWN

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")

NUM_COPIES = SHOWN + 4
IN_PLACE = 1000
"""Characters of Markdown that the UI shows in place; longer ones open on a click."""

# Titles that MAESTRO lists in several of its splits. Here the files of the first are made the same music.
MAESTRO = """canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration
Wolfgang Amadeus Mozart,"Sonata in F Major, K280",test,2004,2004/k280 4.midi,2004/a.wav,1
Wolfgang Amadeus Mozart,"Sonata in F Major, K280",train,2004,2004/k280 6.midi,2004/b.wav,1
Joseph Haydn,"Sonata in B-flat Major, Hob.XVI:41",train,2011,2011/hob 2.midi,2011/a.wav,1
Joseph Haydn,"Sonata in B-flat Major, Hob.XVI:41",validation,2011,2011/hob 3.midi,2011/b.wav,1
"""


def higher(columns: NoteColumns, semitones: int) -> NoteColumns:
    return dataclasses.replace(columns, pitch=(columns.pitch + semitones).astype(np.uint8))


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> dict[str, dict[str, str]]:
    """Metadata of the assets of one run, and of the gate, as texts."""
    project = Project(tmp_path_factory.mktemp("duplicates"), num_scores=NUM_COPIES)
    shutil.copytree(project.scores, project.root / "other")
    maestro = project.root / "maestro"
    music = {"k280 4": tune(900), "k280 6": higher(tune(900), 2), "hob 2": tune(901), "hob 3": tune(902)}
    for name, columns in music.items():
        path = maestro / ("2004" if name.startswith("k") else "2011") / f"{name}.midi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(midi_bytes(columns))
    (maestro / "maestro-v3.0.0.csv").write_text(MAESTRO)
    folders = '[datasets.other]\nfolder = "other"\n[datasets.maestro_v3]\nfolder = "maestro"\n'
    project.config.write_text(project.config.read_text() + folders)
    return materialized(project.config)


def materialized(config: Path) -> dict[str, dict[str, str]]:
    defs = build_definitions(config)
    job = defs.resolve_implicit_global_asset_job_def()
    found = {}
    with dg.DagsterInstance.ephemeral() as instance:
        for dataset in ("scores", "other", "maestro_v3"):
            keys = [dg.AssetKey("performances"), dg.AssetKey("fingerprints")]
            job.execute_in_process(instance=instance, asset_selection=keys, partition_key=dataset)
        keys = [dg.AssetKey(name) for name in ("duplicate_pairs", "clusters", "splits")]
        outcome = job.execute_in_process(instance=instance, asset_selection=keys)
        for event in outcome.get_asset_materialization_events():
            event = event.step_materialization_data.materialization
            found[event.asset_key.to_user_string()] = {k: str(v.value) for k, v in event.metadata.items()}
        for check in outcome.get_asset_check_evaluations():
            found[check.check_name] = {k: str(v.value) for k, v in check.metadata.items()}
    return found


def lines(table: str) -> list[list[str]]:
    """Cells of a table in Markdown, without its head."""
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    return rows[2:]


def test_pairs_are_told_by_datasets_by_file_and_by_relation(shown):
    told = shown["duplicate_pairs"]
    assert lines(told["music_shared_by_datasets"]) == [["other – scores", f"{NUM_COPIES} same_bytes"]]
    copies = lines(told["copies_between_datasets"])
    assert copies[0] == ["other/tune 00.mid", "same_bytes", "scores/tune 00.mid", "1.000"]
    assert len(copies) == SHOWN
    assert told["copies_between_datasets"].endswith("And 4 more, in the view `pairs_with_files`.")
    assert {row[0] for row in lines(told["pairs_of_each_relation"])} == {"same_bytes", "edited_copy"}


def test_clusters_say_what_each_tier_removes(shown):
    told = shown["clusters"]
    removed = lines(told["removed_by_tier"])
    assert ["maestro_v3", "4", "1 edited_copy", "3"] in removed
    assert [row for row in removed if "same_bytes" in row[2]] == [["other", "24", "24 same_bytes", "0"]]
    assert ["scores", "24", "0", "1", "24"] in lines(told["clusters_by_dataset"])
    assert ["maestro_v3", "2", "Sonata in F Major, K280", "maestro_v3", "1"] in lines(told["largest_clusters"])


def test_splits_show_what_leaks_as_published_and_here(shown):
    told = shown["splits"]
    assert lines(told["published_beside_clean"]) == [
        ["maestro_v3 train, performances", "2", "1"],
        ["maestro_v3 validation in train", "0/1", "0/1"],
        ["maestro_v3 test in train", "1/1", "0/1"],
        ["maestro_v3 test in validation", "0/1", "0/1"],
    ]
    assert lines(told["pairs_across_splits"]) == [
        ["maestro_v3 test – maestro_v3 train", "edited_copy", "1", "0"],
    ]
    (leak,) = lines(told["published_leaks"])
    assert leak[:6] == ["maestro_v3", "test", "2004/k280 4.midi", "train", "2004/k280 6.midi", "edited_copy"]
    assert leak[-1] == "test – none"
    assert [(row[2], row[-1]) for row in lines(told["titles_across_splits"])] == [
        ("Sonata in F Major, K280", "1"),
        ("Sonata in B-flat Major, Hob.XVI:41", "0"),
    ]


def test_the_gate_shows_its_certificate_and_what_it_looked_at(shown):
    told = shown["no_music_stands_in_two_splits"]
    assert len(told["certificate"]) == 32
    assert told["published_beside_clean"] == shown["splits"]["published_beside_clean"]


def test_tables_of_numbers_are_short_enough_to_stand_in_place(shown):
    tables = {
        "duplicate_pairs": ["music_shared_by_datasets"],
        "clusters": ["removed_by_tier", "clusters_by_dataset"],
        "splits": ["published_beside_clean", "pairs_across_splits"],
    }
    assert all(len(shown[asset][name]) < IN_PLACE for asset, names in tables.items() for name in names)
