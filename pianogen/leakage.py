"""What leaks: pairs whose members stand in two splits although the policy wants them in one.

Music that is left out (split `none`) stands nowhere and leaks nothing. Pairs that the policy lets stand apart,
such as two performances of a work under `group_works = false`, are counted, not listed.
"""

import pyarrow as pa

from pianogen.dedupe.groups import splitting_relations
from pianogen.lake import Lake, Manifest, Stage
from pianogen.settings import SplitPolicy
from pianogen.tables import SCHEMAS

STAGE = Stage(
    name="contamination",
    modules=("pianogen.leakage", "pianogen.dedupe.groups"),
    packages=("duckdb",),
    tables=("contamination",),
)


def report_contamination(lake: Lake, splits: Manifest, policy: SplitPolicy) -> Manifest:
    """Write the table `contamination` for the current pairs and splits.

    Args:
        lake: with `files`, `splits` and `duplicate_pairs`.
        splits: the manifest of the current splits.
        policy: says which pairs may not stand in two splits.

    Returns:
        The manifest; its info counts the pairs that leak, and by relation those that the policy lets stand apart.
    """
    listings = [manifest.blocks for manifest in lake.manifests("listing")]
    relations = sorted(splitting_relations(policy))
    key = STAGE.key(inputs=[splits.version, lake.require("duplicate_pairs").version, listings], settings=relations)
    if not lake.has_block(STAGE.name, key):
        lake.write_block(STAGE.name, key, {"contamination": contaminated_pairs(lake, policy)})
    info = {
        "splits_version": splits.version,
        "num_pairs": lake.read_block(STAGE.name, key, "contamination").num_rows,
        "num_pairs_allowed": _allowed_pairs(lake, policy),
    }
    return lake.publish(STAGE, [key], info=info)


def contaminated_pairs(lake: Lake, policy: SplitPolicy) -> pa.Table:
    """Rows of the lake's `contamination`, by the current pairs and splits, ordered by the pairs' ids."""
    with lake.connect(["files", "splits", "duplicate_pairs"]) as connection:
        found = connection.sql(_CONTAMINATED, params={"relations": sorted(splitting_relations(policy))})
        return found.to_arrow_table().select(SCHEMAS["contamination"].names).cast(SCHEMAS["contamination"])


def _allowed_pairs(lake: Lake, policy: SplitPolicy) -> dict[str, int]:
    with lake.connect(["splits", "duplicate_pairs"]) as connection:
        return dict(connection.sql(_ALLOWED, params={"relations": sorted(splitting_relations(policy))}).fetchall())


_CONTAMINATED = """
with placed as (
    select splits.*, coalesce(files.path, performance_id) as path
    from splits
    left join files using (performance_id)
    where split <> 'none'
)
select
    a.split as split_a, a.dataset as dataset_a, a.path as path_a,
    b.split as split_b, b.dataset as dataset_b, b.path as path_b,
    duplicate_pairs.*, a.cluster_id
from duplicate_pairs
inner join placed as a on a.performance_id = performance_a
inner join placed as b on b.performance_id = performance_b
where a.split <> b.split and list_contains($relations, relation)
order by performance_a, performance_b
"""

_ALLOWED = """
select relation, count(*)
from duplicate_pairs
inner join splits as a on a.performance_id = performance_a
inner join splits as b on b.performance_id = performance_b
where a.split <> b.split and a.split <> 'none' and b.split <> 'none' and not list_contains($relations, relation)
group by relation
order by relation
"""
