"""The views and checks over real files of several datasets, from bytes to distances."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pianogen.catalogue import Dataset
from pianogen.dedupe.candidates import find_duplicate_pairs
from pianogen.dedupe.clusters import find_clusters
from pianogen.dedupe.fingerprint import fingerprint_dataset
from pianogen.ingest import ingest_dataset
from pianogen.lake import Lake
from pianogen.settings import load_settings
from pianogen.splits import assign_splits
from pianogen.statistics.build import update_statistics
from pianogen.views import apply_views
from pianogen.warehouse import run_check

SQL = Path(__file__).resolve().parents[2] / "warehouse"
VIEWS = ("counted_performances", "statistics_drift")


@pytest.fixture(scope="module")
def measured(real_data, tmp_path_factory) -> Lake:
    """Two folders of real files, measured and compared."""
    lake = Lake(tmp_path_factory.mktemp("real") / "lake")
    settings = dataclasses.replace(load_settings(), workers=1, sql=SQL)
    datasets = [
        Dataset(name=n, title=n, folder=real_data / f) for n, f in (("course", "piano-course"), ("gm", "giantmidi"))
    ]
    for dataset in datasets:
        ingest_dataset(lake, dataset, settings)
        fingerprint_dataset(lake, dataset.name, settings)
    find_duplicate_pairs(lake)
    find_clusters(lake, [dataset.name for dataset in datasets], settings.splits)
    assign_splits(lake, datasets, settings.splits)
    update_statistics(lake, settings)
    return lake


@pytest.mark.parametrize("asset", ["performances", "statistics", "comparison"])
def test_every_check_of_real_music_passes(measured, asset):
    with contextlib.closing(measured.connect()) as connection:
        apply_views(connection, SQL / "views", VIEWS)
        for check in sorted((SQL / "checks" / asset).glob("*.sql")):
            assert run_check(connection, check.read_text()).to_pylist() == [], check.name


def test_distributions_of_real_music_are_what_numpy_counts(measured):
    notes = measured.read("notes").to_pandas()
    dataset_of = dict(measured.read("performances", ["performance_id", "dataset"]).to_pandas().to_numpy())
    notes = notes[~notes["is_drum"]].assign(dataset=notes["performance_id"].map(dataset_of))
    with contextlib.closing(measured.connect()) as connection:
        cells = connection.sql(
            "select dataset, measure, bin, sum(weight) as weight from histogram_cells group by all"
        ).df()
    for dataset, mine in notes.groupby("dataset"):
        for measure in ("pitch", "velocity"):
            found = cells[(cells["dataset"] == dataset) & (cells["measure"] == measure)]
            expected = np.bincount(mine[measure], minlength=128)
            assert np.array_equal(np.bincount(found["bin"], found["weight"], 128), expected)


def test_the_two_datasets_lie_apart_and_each_at_no_distance_from_itself(measured):
    with contextlib.closing(measured.connect()) as connection:
        found = connection.sql("""
            select dataset_a = dataset_b, min(jensen_shannon_bits), max(jensen_shannon_bits)
            from distances where kind = 'datasets' and measure = 'velocity' group by 1 order by 1
        """).fetchall()
    assert found[0][0] is False
    assert found[0][1] > 0.1
    assert found[1] == (True, 0.0, 0.0)
