"""Shards as other programs read them: DuckDB, HF datasets, torch, a plain Arrow reader."""

import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
import yaml
from builders import settings_in, write_tiny_lake

from pianogen.augment import AugmentConfig
from pianogen.errors import QueryError
from pianogen.lake import Lake
from pianogen.shards import ShardSet, build_shards, plan_shards
from pianogen.shards.examples import ExampleConfig, Examples
from pianogen.shards.files import FILE_NAME
from pianogen.training.experiment import load_experiment
from pianogen.training.loading import ExampleDataset
from pianogen.warehouse import list_tables, publish_warehouse, query_warehouse

AUGMENT = AugmentConfig(semitones=(-2, 0, 1), velocity_scales=(0.5, 1.0))
SCHEMES = {"ids": {"name": "remi"}, "vectors": {"name": "continuous"}, "few": {"name": "jsb"}}


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """With the shards of three experiments."""
    folder = tmp_path_factory.mktemp("readers")
    lake = write_tiny_lake(folder / "lake")
    for name, tokenizer in SCHEMES.items():
        build_shards(lake, settings_in(folder), name=name, tokenizer=tokenizer, augment=AUGMENT)
    return lake


@pytest.fixture(scope="module")
def warehouse(lake, tmp_path_factory):
    project = tmp_path_factory.mktemp("warehouse")
    (project / "views").mkdir()
    (project / "views" / "one.sql").write_text("-- One.\ncreate or replace view one as select 1 as one;\n")
    publish_warehouse(lake, project / "runs", project, project / "pianogen.duckdb")
    return project / "pianogen.duckdb"


def paths(lake: Lake, name: str, split: str = "train"):
    shards = ShardSet(lake, name).info["shards"]
    return [str(lake.block_path("shards", one["block"]) / FILE_NAME) for one in shards if one["split"] == split]


def test_every_row_is_a_row_of_sequences_in_sql(lake, warehouse):
    names = ("experiment", "split", "performance_id", "semitones", "velocity_scale")
    rows = query_warehouse(warehouse, "select * from sequences order by experiment, shard").to_pylist()
    found = {tuple(row[name] for name in names): row for row in rows}
    assert len(found) == len(rows)
    num = 0
    for name in SCHEMES:
        for split in ("train", "validation", "test"):
            sequences = ShardSet(lake, name).sequences(split)
            num += len(sequences)
            for i, fact in enumerate(sequences.facts.to_pylist()):
                row = found[name, split, fact["performance_id"], fact["semitones"], fact["velocity_scale"]]
                assert {key: row[key] for key in fact} == fact
                tokens, other = ("vectors", "token_ids") if name == "vectors" else ("token_ids", "vectors")
                assert row[tokens] == sequences[i].tolist()
                assert row[other] is None
                assert row["num_tokens"] == len(sequences[i])
    assert num == len(rows)


def test_copies_that_a_scheme_cannot_tell_apart_are_counted_and_left_out(lake, warehouse):
    sql = (
        "select experiment as e, sum(num_sequences) as n, sum(num_identical) as same from shards where split = 'train'"
    )
    rows = query_warehouse(warehouse, f"{sql} group by 1").to_pylist()
    found = {row["e"]: (int(row["n"]), int(row["same"])) for row in rows}
    # Four voices tell no velocity: of each transposition one copy is left.
    assert found["few"][0] == found["few"][1] == found["ids"][0] / 2
    assert found["ids"][1] == found["vectors"][1] == 0


def test_the_list_of_tables_says_what_sequences_are(warehouse):
    (row,) = [row for row in list_tables(warehouse).to_pylist() if row["name"] == "sequences"]
    assert row["num_rows"] == query_warehouse(warehouse, "select count(*) as n from sequences")["n"][0].as_py()
    assert row["comment"].startswith("One row per sequence of the shards")


def test_a_shard_that_is_gone_is_named_with_the_remedy(lake, warehouse, tmp_path):
    copied = shutil.copytree(warehouse.parent, tmp_path / "elsewhere" / "warehouse") / warehouse.name
    with pytest.raises(QueryError, match=r"sequences.arrow: not a readable shard.*publish the warehouse again"):
        query_warehouse(copied, "select count(*) from sequences")
    # What does not ask for them is not troubled.
    assert query_warehouse(copied, "select count(*) as n from shards")["n"][0].as_py() > 0


@pytest.mark.parametrize("name", SCHEMES)
def test_hf_datasets_reads_the_files_as_they_are(lake, name, tmp_path):
    import datasets

    found = datasets.load_dataset("arrow", data_files=paths(lake, name), cache_dir=str(tmp_path), split="train")
    sequences = ShardSet(lake, name).sequences("train")
    assert len(found) == len(sequences)
    assert found["performance_id"][:] == list(sequences.performance_ids)
    for i in range(0, len(sequences), 5):
        assert np.array_equal(np.array(found[i]["token_ids"], sequences[i].dtype), sequences[i])


def test_a_torch_data_loader_shuffles_them_in_two_processes(lake):
    source = Examples(ShardSet(lake, "ids").sequences("train"), ExampleConfig(context_length=32))
    dataset = ExampleDataset(source, source.num_per_epoch)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=4, shuffle=True, num_workers=2, generator=torch.Generator().manual_seed(1)
    )
    rows = [row.tolist() for batch in loader for row in batch["input_ids"]]
    assert sorted(rows) == sorted(dataset[k]["input_ids"].tolist() for k in range(len(dataset)))


@pytest.mark.parametrize("name", SCHEMES)
def test_any_row_is_read_without_reading_others(lake, name):
    sequences = ShardSet(lake, name).sequences("train")
    for path in paths(lake, name):
        with pa.memory_map(path) as file:
            reader = pa.ipc.open_file(file)
            # A batch for each variation but its semitones.
            assert reader.num_record_batches == 2
            assert reader.schema.field("token_ids").type == (
                pa.list_(pa.list_(pa.float32(), 4)) if name == "vectors" else pa.list_(pa.uint16())
            )
    assert all(np.shares_memory(sequences[i], sequences.values[sequences.batch[i]]) for i in range(len(sequences)))
    assert all(not values.flags.writeable for values in sequences.values)


# What docs/shards.md says


TEXT = (Path(__file__).resolve().parents[2] / "docs" / "shards.md").read_text(encoding="utf-8")


def test_python_of_the_page_runs_as_it_stands(tmp_path, monkeypatch):
    lake = write_tiny_lake(tmp_path / "data" / "lake")
    build_shards(lake, settings_in(tmp_path), name="quick", tokenizer={"name": "remi"}, augment=AUGMENT)
    monkeypatch.chdir(tmp_path)
    told: dict = {}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(block, told)
    assert told["batch"].input_ids.shape == (16, 1024)
    assert set(told["state"]) == {"consumed", "identity"}
    assert len(told["shards"].tokenizer.decode(told["train"][0])) > 0


def test_yaml_of_the_page_is_the_defaults(tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "one.yaml").write_text(f"{block}model: {{}}\ntraining: {{}}\n")
    assert load_experiment(tmp_path / "one.yaml").augmentation == AugmentConfig()
    assert set(yaml.safe_load(block)["augmentation"]) == set(AugmentConfig.__dataclass_fields__)


def test_sql_of_the_page_runs(lake, warehouse):
    queries = re.findall(r'pianogen sql "(.*)"', TEXT)
    assert len(queries) == 2
    for sql in queries:
        assert query_warehouse(warehouse, sql.replace("quick", "ids")).num_rows == 3


# A dry run


def test_a_plan_says_what_a_build_would_do(tmp_path):
    lake = write_tiny_lake(tmp_path / "lake")
    for tokenizer in ({"name": "remi"}, {"name": "note_chord"}):
        before = plan_shards(lake, tokenizer=tokenizer, augment=AUGMENT)
        assert before.num_performances == {"train": 8, "validation": 2, "test": 3}
        assert (before.num_shards, before.num_there) == (3, 0)
        assert before.is_learned == (tokenizer["name"] == "remi")
        build_shards(lake, settings_in(tmp_path), name="one", tokenizer=tokenizer, augment=AUGMENT)
        after = plan_shards(lake, tokenizer=tokenizer, augment=AUGMENT)
        assert (after.num_shards, after.num_there, after.is_learned) == (3, 3, True)
