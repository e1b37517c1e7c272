"""Pairs of performances that hold the same music, by equal hashes and by shingles that lie on one line.

Equal bytes and equal content hashes are found by a join; everything else by `comparison`, which looks at every pair
that shares shingles. What both find carries the closer relation, and the evidence of the alignment.
"""

from dataclasses import asdict, dataclass, field

import duckdb
import numpy as np
import pyarrow as pa

from pianogen import parallel
from pianogen.dedupe.alignment import FIGURES
from pianogen.dedupe.comparison import Comparison, compare_all, nothing_known
from pianogen.dedupe.corpus import load_corpus
from pianogen.dedupe.first_looks import CandidateConfig
from pianogen.dedupe.known_looks import keep_looks, read_known_looks
from pianogen.dedupe.relations import RELATIONS, RelationConfig, relations, scores
from pianogen.lake import Lake, Manifest, Stage, digest
from pianogen.settings import Settings, load_settings
from pianogen.tables import SCHEMAS

STAGE = Stage(
    name="duplicate_pairs",
    modules=(
        "pianogen.dedupe.alignment",
        "pianogen.dedupe.candidates",
        "pianogen.dedupe.comparison",
        "pianogen.dedupe.corpus",
        "pianogen.dedupe.fingerprint",
        "pianogen.dedupe.first_looks",
        "pianogen.dedupe.gathered_notes",
        "pianogen.dedupe.looks",
        "pianogen.dedupe.matched_notes",
        "pianogen.dedupe.postings",
        "pianogen.dedupe.relations",
        "pianogen.dedupe.shingle",
    ),
    packages=("duckdb", "numba", "pyarrow"),
    tables=("duplicate_pairs",),
)


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """Which pairs are looked at, and what makes one."""

    candidates: CandidateConfig = field(default_factory=CandidateConfig)
    relations: RelationConfig = field(default_factory=RelationConfig)
    min_edited_notes: int = 10
    """Notes that both members of an `edited_copy` by its hash need: of fewer, any two are alike."""
    max_equal: int = 64
    """Of more performances with one hash, each is paired with the first alone."""


def find_duplicate_pairs(
    lake: Lake,
    config: PairConfig | None = None,
    settings: Settings | None = None,
    progress: parallel.Progress | None = None,
) -> Manifest:
    """Every duplicate pair among all current performances.

    Args:
        lake: with the fingerprints of every dataset.
        config: what makes a pair.
        settings: number of workers and backend.
        progress: told of steps done and all.

    Returns:
        The manifest; its info counts the pairs by relation.
    """
    config = config or PairConfig()
    inputs = _fingerprint_blocks(lake)
    key = STAGE.key(inputs=inputs, settings=asdict(config))
    if not lake.has_block(STAGE.name, key):
        with lake.scratch() as folder:
            corpus = load_corpus(lake, folder)
            version = STAGE.key(inputs=None, settings=asdict(config))
            # What was seen of pairs across datasets says nothing once a performance is in another one.
            is_kept = not config.candidates.across_datasets
            known = read_known_looks(lake, corpus, version) if is_kept else nothing_known(corpus)
            found = compare_all(
                lake, corpus, config.candidates, config.relations, settings or load_settings(), known, progress
            )
            measured = _pairs_of(found, corpus.ids, config.relations)
            if is_kept:
                keep_looks(lake, corpus, found, inputs, version)
        with lake.connect(["performances", "content_hashes"]) as connection:
            table = _with_equal(connection, measured, config)
        lake.write_block(STAGE.name, key, {"duplicate_pairs": table})
    counts = lake.read_block(STAGE.name, key, "duplicate_pairs")["relation"].value_counts().to_pylist()
    info = {
        "num_pairs": {c["values"]: c["counts"] for c in sorted(counts, key=lambda c: RELATIONS.index(c["values"]))},
        "fingerprint_blocks": digest(inputs),
    }
    return lake.publish(STAGE, [key], info=info)


def not_yet_compared(lake: Lake) -> list[str]:
    """Datasets whose current performances are not those that the current pairs were found among.

    Without them the pairs, and so the clusters and the splits, know nothing of some music.
    """
    compared = {m.partition: m.info.get("ingest_blocks") for m in lake.manifests("fingerprints")}
    ingested = {m.partition: digest(m.blocks) for m in lake.manifests("ingest")}
    pairs = lake.manifest(STAGE.name)
    if pairs is None or pairs.info.get("fingerprint_blocks") != digest(_fingerprint_blocks(lake)):
        return sorted(ingested)
    return sorted(name for name, blocks in ingested.items() if compared.get(name) != blocks)


def _fingerprint_blocks(lake: Lake) -> list[tuple[str, tuple[str, ...]]]:
    return [(m.partition, m.blocks) for m in lake.manifests("fingerprints")]


def _pairs_of(found: Comparison, ids: tuple[str, ...], config: RelationConfig) -> pa.Table:
    """The pairs that are something to each other, with their evidence."""
    named = relations(
        found.figures, found.num_smaller, found.num_smaller_top, found.matched_class, found.matched, config
    )
    rows = np.flatnonzero(named >= 0)
    figure = {name: found.figures[rows, i] for i, name in enumerate(FIGURES)}
    # Of a copy whose tempo was edited, that which shows it.
    is_retimed = figure["own_residual_sec"] <= config.max_edited_tempo_residual_sec
    is_drifting = ~(figure["residual_sec"] <= config.max_copy_residual_sec)
    residual = np.where(is_drifting & is_retimed, figure["own_residual_sec"], figure["residual_sec"])
    names = np.array(ids, dtype=object)
    return pa.table(
        {
            "performance_a": pa.array(names[found.a[rows]], pa.string()),
            "performance_b": pa.array(names[found.b[rows]], pa.string()),
            "relation": pa.array([RELATIONS[k] for k in named[rows]], pa.string()),
            "score": scores(found.figures[rows], found.num_smaller[rows]).round(6),
            "coverage": np.clip(np.maximum(figure["coverage_a"], figure["coverage_b"]), 0, 1).round(6),
            "coverage_a": np.clip(figure["coverage_a"], 0, 1).round(6),
            "coverage_b": np.clip(figure["coverage_b"], 0, 1).round(6),
            "residual_sec": pa.array(residual.round(6), pa.float64(), from_pandas=True),
            "num_shared": figure["num_shared"].astype(np.int32),
            "num_anchors": figure["num_anchors"].astype(np.int32),
            "semitones": figure["semitones"].astype(np.int32),
            "is_mirrored": figure["is_mirrored"].astype(bool),
            "tempo_ratio": figure["tempo_ratio"].round(4),
        },
        schema=SCHEMAS["duplicate_pairs"],
    )


def _with_equal(connection: duckdb.DuckDBPyConnection, measured: pa.Table, config: PairConfig) -> pa.Table:
    """The measured pairs and those of equal hashes, ordered by their ids; the closer relation counts."""
    connection.register("measured", measured)
    thresholds = {
        "min_edited_notes": config.min_edited_notes,
        "max_equal": config.max_equal,
        "across_datasets": config.candidates.across_datasets,
    }
    found = connection.sql(_PAIRS, params=thresholds).to_arrow_table()
    return found.select(SCHEMAS["duplicate_pairs"].names).cast(SCHEMAS["duplicate_pairs"])


_PAIRS = """
with facts as (
    select performance_id, dataset, file_id, num_notes, content_hashes.* exclude (performance_id)
    from performances
    inner join content_hashes using (performance_id)
),
hashed as (
    select performance_id, dataset, 0 as tier, 'same_bytes' as relation, file_id as hash, lowest_pitch, span_sec
    from facts
    union all
    select performance_id, dataset, 1, 'same_notes', content_hash_any_velocity, lowest_pitch, span_sec from facts
    union all
    select performance_id, dataset, 2, 'edited_copy', content_hash_any_key, lowest_pitch, span_sec from facts
    where num_notes >= $min_edited_notes
    union all
    select performance_id, dataset, 2, 'edited_copy', content_hash_any_tempo, lowest_pitch, span_sec from facts
    where num_notes >= $min_edited_notes
),
counted as (
    select *, count(*) over same as num_equal, min(performance_id) over same as first_id
    from hashed
    window same as (partition by tier, hash)
),
met as (
    select tier, a.relation, a.performance_id as id_a, b.performance_id as id_b
    from counted as a
    inner join counted as b using (tier, hash)
    where a.performance_id < b.performance_id
      and (a.num_equal <= $max_equal or a.performance_id = a.first_id)
      and (a.dataset <> b.dataset or not $across_datasets)
    union
    -- Of very many equals those that were measured are named for what they are too.
    select a.tier, a.relation, performance_a, performance_b
    from measured
    inner join counted as a on a.performance_id = performance_a and a.num_equal > $max_equal
    inner join counted as b on b.performance_id = performance_b and b.tier = a.tier and b.hash = a.hash
),
equal as (
    select
        id_a as performance_a, id_b as performance_b, relation, tier,
        1.0 as score, 1.0 as coverage, 1.0 as coverage_a, 1.0 as coverage_b, 0.0 as residual_sec,
        0 as num_shared, 0 as num_anchors,
        b.lowest_pitch::integer - a.lowest_pitch::integer as semitones,
        false as is_mirrored,
        round(b.span_sec / nullif(a.span_sec, 0), 4) as tempo_ratio
    from met
    inner join facts as a on a.performance_id = id_a
    inner join facts as b on b.performance_id = id_b
),
every as (
    select *, 3 as tier from measured
    union all by name
    select * from equal
),
ranked as (
    -- Equal hashes say more than what was measured.
    select *, row_number() over (partition by performance_a, performance_b order by tier) as place,
        max(num_shared) over pair as most_shared, max(num_anchors) over pair as most_anchors
    from every
    window pair as (partition by performance_a, performance_b)
)
select * exclude (num_shared, num_anchors), most_shared as num_shared, most_anchors as num_anchors
from ranked
where place = 1
order by performance_a, performance_b
"""
