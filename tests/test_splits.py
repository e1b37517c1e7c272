import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from corpora import compare, curate, folder_dataset, here, improvise, shard, transposed, write_midi

from pianogen.catalogue import Dataset, find_dataset
from pianogen.contamination import require_clean
from pianogen.dedupe.clusters import find_clusters
from pianogen.errors import ContaminationError, LakeError
from pianogen.lake import Lake
from pianogen.midi.columns import NoteColumns
from pianogen.settings import FolderDataset, Settings, SplitPolicy
from pianogen.splits import assign_splits
from pianogen.views import apply_views

VIEWS = Path(__file__).resolve().parents[1] / "warehouse" / "views"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Thirty pieces, and a folder with copies of the first two."""
    folder = tmp_path_factory.mktemp("music")
    for seed in range(30):
        write_midi(folder / "pieces" / f"{seed}.mid", improvise(seed, 40))
    for seed in range(2):
        write_midi(folder / "copies" / f"{seed}.mid", transposed(improvise(seed, 40), 1))
    return folder


def splits_of(lake: Lake) -> dict[str, str]:
    return dict(zip(*lake.read("splits", ["performance_id", "split"]).to_pydict().values(), strict=True))


def by_file(lake: Lake, columns: str = "split, reason") -> dict[str, tuple]:
    with lake.connect(["files", "splits"]) as connection:
        query = f"select dataset || '/' || path, {columns} from files inner join splits using (dataset, performance_id)"
        return {name: tuple(rest) for name, *rest in connection.sql(query).fetchall()}


def moves(lake: Lake, compared_with: str) -> list[tuple]:
    """File, from, to, reason, the file that it is because of, relation."""
    with lake.connect(["files", "split_moves"]) as connection:
        return connection.sql(
            """
            select moved.dataset || '/' || moved.path, from_split, to_split, reason,
                   cause.dataset || '/' || cause.path, relation
            from split_moves
            inner join files as moved using (performance_id)
            left join files as cause on because_of = cause.performance_id
            where compared_with = $compared_with
            order by 1
            """,
            params={"compared_with": compared_with},
        ).fetchall()


def one_after_another(first: NoteColumns, second: NoteColumns) -> NoteColumns:
    """Two pieces in one file, a quarter apart."""
    later = replace(second, onset_tick=second.onset_tick + np.int32(first.end_tick + first.ticks_per_quarter))
    joined = {
        name: np.concatenate([getattr(first, name), getattr(later, name)])
        for name in ("pitch", "velocity", "onset_tick", "duration_tick")
    }
    return replace(first, **joined)


def with_policy(folder: Path, **policy) -> Settings:
    return replace(here(folder), splits=SplitPolicy(**policy))


# Drawn


def test_every_performance_of_the_lake_has_one_split_and_the_manifest_counts_them(folder, tmp_path):
    lake = Lake(tmp_path)
    manifest = curate(
        lake, [folder_dataset(folder / "pieces"), folder_dataset(folder / "copies", "copies")], here(tmp_path)
    )
    rows = lake.read("splits").to_pylist()
    assert [row["performance_id"] for row in rows] == sorted(lake.read("performances")["performance_id"].to_pylist())
    assert manifest.info["num_performances"] == {
        name: sum(row["split"] == name for row in rows) for name in ("train", "validation", "test")
    }
    assert {row["reason"] for row in rows} == {"group"}
    assert len({row["split_group"] for row in rows}) == 30
    assert lake.read("contamination").num_rows == lake.read("split_moves").num_rows == 0
    assert (manifest.info["num_left_out"], manifest.info["giant_groups"]) == ({}, [])


def test_adding_a_pinned_dataset_leaves_every_other_split(folder, tmp_path):
    lake, settings = Lake(tmp_path), here(tmp_path)
    pieces = folder_dataset(folder / "pieces")
    curate(lake, [pieces], settings)
    before = splits_of(lake)
    manifest = curate(lake, [pieces, folder_dataset(folder / "copies", "copies", split="train")], settings)
    after = splits_of(lake)
    assert {i: after[i] for i in before} == before
    assert [after[i] for i in after.keys() - before.keys()] == ["train", "train"]
    assert manifest.info["pinned"] == {"copies": "train"}


def test_the_same_input_gives_the_same_version_and_another_salt_another(folder, tmp_path):
    lake, datasets = Lake(tmp_path), [folder_dataset(folder / "pieces")]
    first = curate(lake, datasets, here(tmp_path))
    assert assign_splits(lake, datasets).version == first.version
    assert assign_splits(lake, datasets, SplitPolicy(salt="v2")).version != first.version
    assert assign_splits(lake, [replace(datasets[0], split="test")]).version != first.version


def test_clusters_of_other_performances_are_refused_with_the_remedy(folder, tmp_path):
    lake, settings = Lake(tmp_path), here(tmp_path)
    pieces, copies = folder_dataset(folder / "pieces"), folder_dataset(folder / "copies", "copies")
    compare(lake, [pieces], settings)
    find_clusters(lake, ["mine"])
    compare(lake, [copies], settings)
    with pytest.raises(LakeError, match="run the stage 'clusters' again"):
        assign_splits(lake, [pieces, copies])


def test_an_empty_lake_has_empty_splits(tmp_path):
    lake = Lake(tmp_path)
    assert curate(lake, [], here(tmp_path)).info["num_performances"] == {"train": 0, "validation": 0, "test": 0}


# What comes later


def add_until(lake: Lake, dataset: Dataset, settings: Settings, wanted) -> str:
    """Write transposed copies of one piece until one has an id that `wanted` accepts; its path."""
    for semitones in itertools.chain.from_iterable((i, -i) for i in range(1, 12)):
        path = write_midi(dataset.folder / f"copy {semitones}.mid", transposed(improvise(0, 40), semitones))
        curate(lake, [dataset], settings)
        found = by_file(lake, "performance_id")
        if wanted(found[f"mine/{path.name}"][0], found["mine/0.mid"][0]):
            return path.name
        path.unlink()
    raise AssertionError("no copy has such an id")


def test_a_copy_in_the_same_dataset_moves_nothing_though_its_id_is_smaller(folder, tmp_path):
    music = folder_dataset(shutil.copytree(folder / "pieces", tmp_path / "music"))
    lake, settings = Lake(tmp_path / "lake"), here(tmp_path)
    curate(lake, [music], settings)
    before = splits_of(lake)
    name = add_until(lake, music, settings, lambda new, old: new < old)
    with_copy = splits_of(lake)
    assert {i: with_copy[i] for i in before} == before
    group, drawn_by, split = by_file(lake, "split_group, drawn_by, split")[f"mine/{name}"]
    assert group != drawn_by == by_file(lake, "performance_id")["mine/0.mid"][0]
    assert split == by_file(lake)["mine/0.mid"][0]
    # Again, and again without the piece that gave the name.
    version = lake.require("splits").version
    assert curate(lake, [music], settings).version == version
    (music.folder / "0.mid").unlink()
    curate(lake, [music], settings)
    assert by_file(lake)[f"mine/{name}"][0] == split
    assert moves(lake, "earlier") == []
    # A new lake knows of no name that went.
    new = curate(Lake(tmp_path / "new"), [music], settings)
    assert curate(lake, [music], replace(settings, splits=SplitPolicy(earlier="ignore"))).blocks != new.blocks
    assert curate(Lake(tmp_path / "new"), [music], replace(settings, splits=SplitPolicy(earlier="ignore"))) == (
        lake.require("splits")
    )


def test_what_joins_two_groups_moves_the_smaller_and_says_so(folder, tmp_path):
    music = folder_dataset(shutil.copytree(folder / "pieces", tmp_path / "music"))
    lake, settings = Lake(tmp_path / "lake"), here(tmp_path)
    curate(lake, [music], settings)
    found = by_file(lake, "split")
    train = [name for name, (split,) in sorted(found.items()) if split == "train"]
    (held_out, (side,)) = next(item for item in sorted(found.items()) if item[1] != ("train",))
    piece = [int(Path(name).stem) for name in (train[0], held_out)]
    # A second rendition makes the train group the larger one.
    write_midi(music.folder / "again.mid", transposed(improvise(piece[0], 40), 2))
    curate(lake, [music], settings)
    assert by_file(lake)["mine/again.mid"][0] == "train"
    write_midi(music.folder / "medley.mid", one_after_another(*(improvise(seed, 40) for seed in piece)))
    curate(lake, [music], settings)
    after = by_file(lake)
    assert {after[name][0] for name in (train[0], held_out, "mine/again.mid", "mine/medley.mid")} == {"train"}
    ((name, *move, relation),) = moves(lake, "earlier")
    assert (name, *move) == (held_out, side, "train", "joined", "mine/medley.mid")
    assert relation in ("excerpt", "same_work", "edited_copy")
    # Nothing moves any more, and what is recorded stays.
    curate(lake, [music], settings)
    assert len(moves(lake, "earlier")) == 1
    require_clean(lake)
    # What moved stays when the medley goes: it was trained on since.
    (music.folder / "medley.mid").unlink()
    curate(lake, [music], settings)
    assert by_file(lake)[held_out][0] == "train"
    # Another policy draws anew, and that is said as well.
    curate(lake, [music], replace(settings, splits=SplitPolicy(earlier="ignore", salt="v3")))
    assert ("policy", None) in {(reason, cause) for _, _, _, reason, cause, _ in moves(lake, "earlier")}


# Published splits


@pytest.fixture(scope="module")
def concert(tmp_path_factory) -> list[Dataset]:
    """A dataset with a published split that leaks, and one of other files with copies of its music."""
    root = tmp_path_factory.mktemp("published")
    split_of = {
        0: "test", 1: "validation", 2: "train", 3: "train", 4: "train", 5: "validation",
        10: "train",  # piece 0, a third higher
        11: "train",  # piece 1, slower
        15: "test",  # piece 5, a tone lower
    }  # fmt: skip
    rows = ["canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration"]
    for seed, split in split_of.items():
        piece = transposed(improvise(seed % 10, 60), {10: 4, 15: -2}.get(seed, 0))
        write_midi(root / "concert" / f"{seed}.midi", piece, tempo_qpm=100 if seed == 11 else 120)
        rows.append(f"A,Piece {seed % 10},{split},2004,{seed}.midi,,1")
    (root / "concert" / "maestro-v3.0.0.csv").write_text("\n".join(rows) + "\n")
    write_midi(root / "concert" / "extra.midi", improvise(50, 60))
    for seed in (0, 2, 20, 21, 22):
        write_midi(root / "others" / f"{seed}.mid", transposed(improvise(seed, 60), 1))
    maestro = Dataset(
        name="concert",
        title="concert",
        folder=root / "concert",
        pattern="*.midi",
        metadata="maestro",
        roots=("maestro-v3.0.0*",),
    )
    return [maestro, folder_dataset(root / "others", "others")]


@pytest.fixture
def published(concert, tmp_path) -> Lake:
    lake = Lake(tmp_path / "lake")
    curate(lake, concert, here(tmp_path))
    return lake


def test_published_held_out_sets_stay_twins_leave_and_every_move_is_recorded(published):
    found = by_file(published)
    expected = {
        "0": ("test", "published"),
        "1": ("validation", "published"),
        "2": ("train", "published"),
        "3": ("train", "published"),
        "4": ("train", "published"),
        "5": ("none", "twin"),
        "10": ("none", "twin"),
        "11": ("none", "twin"),
        "15": ("test", "published"),
        "extra": ("train", "published"),
    }
    assert {name: where for name, where in found.items() if name.startswith("concert")} == {
        f"concert/{stem}.midi": where for stem, where in expected.items()
    }
    assert (found["others/0.mid"], found["others/2.mid"]) == (("test", "twin"), ("train", "twin"))
    assert moves(published, "published") == [
        ("concert/10.midi", "train", "none", "twin", "concert/0.midi", "edited_copy"),
        ("concert/11.midi", "train", "none", "twin", "concert/1.midi", "edited_copy"),
        ("concert/5.midi", "validation", "none", "twin", "concert/15.midi", "edited_copy"),
    ]
    info = published.require("splits").info
    assert info["num_left_out"] == {"twin": 3}
    assert sum(info["num_performances"].values()) == 12
    assert require_clean(published)


def test_shards_hold_nothing_that_is_left_out(published):
    counts = shard(published).info["counts"]
    assert {split: count["num_performances"] for split, count in counts.items()} == published.require("splits").info[
        "num_performances"
    ]


def test_the_standard_split_stands_beside_the_clean_one_in_sql(published):
    with published.connect() as connection:
        apply_views(connection, VIEWS, [
            "performances_with_sources", "pairs_with_files", "split_leaks_published", "split_leakage",
            "contamination_matrix", "removed_by_tier", "split_moves_by_reason", "split_moves_with_files",
        ])  # fmt: skip
        leaks = connection.sql(
            "select path_a, published_split_a, path_b, published_split_b, relation, split_a, split_b, is_mended "
            "from split_leaks_published order by path_a"
        ).fetchall()
        leakage = connection.sql(
            "select standing, split, other_split, num_held_out, num_leaking from split_leakage order by all"
        ).fetchall()
        across = connection.sql(
            "select standing, dataset_a, split_a, dataset_b, split_b, num_pairs from contamination_matrix "
            "where is_across order by all"
        ).fetchall()
        removed = connection.sql("select dataset, sum(num_removed) from removed_by_tier group by 1 order by 1")
        assert removed.fetchall() == [("concert", 3), ("others", 2)]
    assert leaks == [
        ("0.midi", "test", "10.midi", "train", "edited_copy", "test", "none", True),
        ("1.midi", "validation", "11.midi", "train", "edited_copy", "validation", "none", True),
        ("15.midi", "test", "5.midi", "validation", "edited_copy", "test", "none", True),
    ]
    assert leakage == [
        ("ours", "test", "train", 2, 0),
        ("ours", "test", "validation", 2, 0),
        ("ours", "validation", "train", 1, 0),
        ("published", "test", "train", 2, 1),
        ("published", "test", "validation", 2, 1),
        ("published", "validation", "train", 2, 1),
    ]
    assert across == [
        ("published", "concert", "test", "concert", "train", 1),
        ("published", "concert", "test", "concert", "validation", 1),
        ("published", "concert", "train", "concert", "validation", 1),
    ]


def test_one_of_each_set_of_copies_is_kept_on_request(concert, tmp_path):
    lake = Lake(tmp_path / "lake")
    manifest = curate(lake, concert, with_policy(tmp_path, keep="one"))
    found = by_file(lake)
    assert found["concert/2.midi"] == ("train", "published")
    assert found["others/2.mid"] == found["others/0.mid"] == ("none", "duplicate")
    assert manifest.info["num_left_out"] == {"duplicate": 2, "twin": 3}
    assert require_clean(lake)


def test_published_splits_are_drawn_anew_on_request(concert, tmp_path):
    lake = Lake(tmp_path / "lake")
    manifest = curate(lake, concert, with_policy(tmp_path, published="ignore"))
    assert {reason for _, reason in by_file(lake).values()} == {"group"}
    assert manifest.info["num_left_out"] == manifest.info["num_moves"] == {}
    assert require_clean(lake)


def test_a_dataset_that_is_pinned_publishes_nothing_and_its_moves_say_so(concert, tmp_path):
    lake = Lake(tmp_path / "lake")
    curate(lake, [replace(concert[0], split="train"), concert[1]], here(tmp_path))
    assert {where for name, where in by_file(lake).items() if name.startswith("concert")} == {("train", "dataset")}
    assert {(move[1], move[2], move[3]) for move in moves(lake, "published")} == {
        ("test", "train", "dataset"),
        ("validation", "train", "dataset"),
    }


def test_the_gate_judges_by_the_policy_that_the_split_was_made_with(tmp_path):
    def relate(lake: Lake, relation: str) -> None:
        (key,) = lake.require("duplicate_pairs").blocks
        path = lake.block_path("duplicate_pairs", key)
        table = lake.read_block("duplicate_pairs", key, "duplicate_pairs")
        shutil.rmtree(path)
        at = table.schema.get_field_index("relation")
        lake.write_block(
            "duplicate_pairs", key, {"duplicate_pairs": table.set_column(at, "relation", [[relation] * len(table)])}
        )

    write_midi(tmp_path / "a/one.mid", improvise(0, 60))
    write_midi(tmp_path / "b/two.mid", transposed(improvise(0, 60), 1))
    datasets = [folder_dataset(tmp_path / name, name, split) for name, split in (("a", "train"), ("b", "test"))]
    lake = Lake(tmp_path / "lake")
    compare(lake, datasets, here(tmp_path))
    allowed = {"same_work": SplitPolicy(group_works=False), "shared_melody": SplitPolicy()}
    forbidden = {"same_work": SplitPolicy(), "shared_melody": SplitPolicy(group_shared_melodies=True)}
    certificates = set()
    for relation in ("same_work", "shared_melody"):
        relate(lake, relation)
        find_clusters(lake, ["a", "b"])
        assign_splits(lake, datasets, forbidden[relation])
        with pytest.raises(ContaminationError, match=f"is {relation} of"):
            require_clean(lake)
        assign_splits(lake, datasets, allowed[relation])
        certificates.add(require_clean(lake))
        assert lake.require("contamination").info["num_pairs_allowed"] == {relation: 1}
    assert len(certificates) == 2


@pytest.mark.slow
def test_the_chorales_leak_by_their_standard_split_and_no_more_by_ours(real_data, tmp_path):
    settings = replace(
        here(tmp_path), folders=(FolderDataset(name="jsb", folder=real_data / "jsb", split=None, parts=None),)
    )
    lake = Lake(tmp_path / "lake")
    manifest = curate(lake, [find_dataset(settings, "jsb")], settings)
    require_clean(lake)
    assert manifest.info["num_performances"]["test"] == 77
    assert set(manifest.info["num_left_out"]) == {"twin"}
    with lake.connect() as connection:
        apply_views(
            connection,
            VIEWS,
            ["performances_with_sources", "pairs_with_files", "split_leaks_published", "split_leakage"],
        )
        leaks = connection.sql(
            "select path_a, path_b, is_mended from split_leaks_published where relation <> 'shared_melody'"
        )
        found = {(Path(a).name, Path(b).name) for a, b, is_mended in leaks.fetchall() if is_mended}
        leaking = dict(
            connection.sql("select standing, sum(num_leaking) from split_leakage group by standing").fetchall()
        )
    # Numbers of the file; both are transposed, so that no hash finds them.
    assert {("224", "074"), ("142", "058")} <= found
    assert leaking["ours"] == 0 < leaking["published"]
