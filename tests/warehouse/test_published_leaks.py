"""Leaks that are known of published splits, found in the real files."""

import dataclasses
from pathlib import Path

import pytest

from pianogen.catalogue import load_catalogue
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.clusters import find_clusters
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.report import same_music
from pianogen.settings import load_settings
from pianogen.splits import assign_splits
from pianogen.warehouse import open_lake

SQL = Path(__file__).resolve().parents[2] / "warehouse"


def compared(root: Path, *datasets: str, folders: Path) -> dict[str, list[dict]]:
    """Every query of `same_music` over the splits of some datasets of the catalogue."""
    config = root / "pianogen.toml"
    named = {"jsb": "jsb", "maestro_v3": "maestro", "asap": "asap"}
    sections = [f'[datasets.{name}]\nfolder = "{folders / named[name]}"\n' for name in datasets]
    config.write_text(f'starter = false\nworkers = 1\nsql = "{SQL}"\n' + "".join(sections))
    settings = dataclasses.replace(load_settings(config), lake=root / "lake")
    lake, known = Lake(settings.lake), [one for one in load_catalogue(settings) if one.name in datasets]
    for dataset in known:
        ingest_dataset(lake, dataset, settings)
        fingerprint_dataset(lake, dataset.name, settings)
    find_duplicate_pairs(lake, settings=settings)
    find_clusters(lake, [dataset.name for dataset in known], settings.splits)
    assign_splits(lake, known, settings.splits)
    with open_lake(lake, SQL, same_music.VIEWS) as connection:
        return same_music.read(connection, list(same_music.QUERIES))


@pytest.mark.slow
def test_the_chorales_that_straddle_their_standard_split_are_named_and_the_clean_split_has_none(real_data, tmp_path):
    rows = compared(tmp_path, "jsb", folders=real_data)
    named = {
        (row["path_a"].split("/", 1)[1], row["path_b"].split("/", 1)[1]): row["is_mended"]
        for row in rows["published_leaks"]
        if row["relation"] != "shared_melody"
    }
    assert named[("train/224", "valid/074")]
    assert named[("train/142", "valid/058")]
    assert all(named.values())
    assert "shared_melody" in {row["relation"] for row in rows["published_leaks"]}, "sopranos of test stand in train"
    train, validation, test = same_music.side_by_side(rows["leakage"], rows["agreement"])
    assert [row["published"]["num_performances"] for row in (train, validation, test)] == [229, 76, 77]
    assert [row["ours"]["num_performances"] for row in (validation, test)] == [76, 77]
    assert train["ours"]["num_performances"] < 229
    assert validation["published"]["train"]["num_leaking"] >= 2
    assert validation["ours"]["train"]["num_leaking"] == test["ours"]["train"]["num_leaking"] == 0


@pytest.mark.slow
def test_files_of_asap_that_are_maestros_are_found(real_data, tmp_path):
    rows = compared(tmp_path, "maestro_v3", "asap", folders=real_data)
    (shared,) = same_music.sharing_by_datasets(rows["sharing"])
    assert (shared["dataset_a"], shared["dataset_b"]) == ("asap", "maestro_v3")
    assert shared["num_pairs"]["same_bytes"] >= 24
    named = {(row["path_a"], row["path_b"]) for row in rows["copies"]}
    islamey = "2004/MIDI-Unprocessed_XP_04_R1_2004_06_ORIG_MID--AUDIO_04_R1_2004_08_Track08_wav.midi"
    assert ("Balakirev/Islamey/CHEN10M.mid", islamey) in named
