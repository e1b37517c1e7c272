"""Pairs of performances that hold the same music, by equal hashes and by shared shingles.

Tier 0, `same_bytes`: equal file ids. Tier 1, `same_notes`: equal content hashes, with velocity or without;
`edited_copy`: equal up to transposition or tempo. Tier 2, `similar`: enough shared shingles,

    score        = shared shingles / shingles of the one that has fewer   at the coarser sampling of the two
    anchor share = the same, counting only shared shingles that agree on one transposition

Shingles of very many performances (cadences, scales, loops) say nothing and are passed over. The tempo
ratio is null where too few shingles stand once in both to tell it.

Thresholds: on 1,460 files of seven datasets every listed pair of one work on the piano is found (821 of
other performances, 229 of score and performance), and no pair joins pop songs with the concert
repertoire; `python -m benchmarks.duplicates` repeats the measurement. They were chosen on the same files.
"""

from dataclasses import asdict, dataclass

import duckdb
import pyarrow as pa

from pianogen.dedupe.fingerprint import COARSE
from pianogen.lake import Lake, Manifest, Stage, digest
from pianogen.tables import SCHEMAS

STAGE = Stage(
    name="duplicate_pairs",
    modules=("pianogen.dedupe.candidates",),
    packages=("duckdb", "pyarrow"),
    tables=("duplicate_pairs",),
)


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """When shared shingles make a pair."""

    min_score: float = 0.08
    min_anchor_share: float = 0.05
    min_anchors: int = 5
    backwards_share: float = 0.9
    """With this share of its steps from anchor to anchor going backwards, a pair is music and its retrograde,"""
    min_steps: int = 10
    """told from this many steps on."""
    min_edited_notes: int = 10
    """Notes that both members of an `edited_copy` need."""
    common_share: float = 0.02
    """A shingle of more performances than this share of all is passed over,"""
    common_from: int = 50
    """but never one of this many or fewer."""


def find_duplicate_pairs(lake: Lake, config: PairConfig | None = None) -> Manifest:
    """Every duplicate pair among all current performances.

    Returns:
        The manifest; its info counts the pairs by relation.
    """
    config = config or PairConfig()
    inputs = _fingerprint_blocks(lake)
    key = STAGE.key(inputs=inputs, settings=asdict(config))
    if not lake.has_block(STAGE.name, key):
        with lake.connect(["performances", "content_hashes", "fingerprints", "shingles"]) as connection:
            lake.write_block(STAGE.name, key, {"duplicate_pairs": duplicate_pairs(connection, config)})
    counts = lake.read_block(STAGE.name, key, "duplicate_pairs")["relation"].value_counts().to_pylist()
    info = {
        "num_pairs": {c["values"]: c["counts"] for c in sorted(counts, key=lambda c: c["values"])},
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


def duplicate_pairs(connection: duckdb.DuckDBPyConnection, config: PairConfig) -> pa.Table:
    """Pairs from the tables `performances`, `content_hashes`, `fingerprints` and `shingles` of a connection.

    Returns:
        Rows of the lake's `duplicate_pairs`, ordered by their ids. A pair that several tiers find
        carries the relation of the strictest.
    """
    connection.execute(_KEPT_SHINGLES, {"share": config.common_share, "floor": config.common_from})
    names = ("min_score", "min_anchor_share", "min_anchors", "backwards_share", "min_steps", "min_edited_notes")
    thresholds = {name: getattr(config, name) for name in names}
    found = connection.sql(_PAIRS, params=thresholds).to_arrow_table()
    return found.select(SCHEMAS["duplicate_pairs"].names).cast(SCHEMAS["duplicate_pairs"])


_KEPT_SHINGLES = """
create temp table kept as
with document_frequency as (
    select shingle, count(*) as num_performances from shingles group by shingle
)
select shingles.*
from shingles
inner join document_frequency using (shingle)
where num_performances <= greatest($floor, $share * (select count(*) from performances))
"""

_PAIRS = f"""
with sizes as (
    select
        performance_id,
        any_value(sampling)                              as sampling,
        count(*)                                         as num_fine,
        count(*) filter (where shingle % {COARSE} = 0)   as num_coarse
    from kept
    inner join fingerprints using (performance_id)
    group by performance_id
),
shared as (
    select
        a.performance_id                                  as performance_a,
        b.performance_id                                  as performance_b,
        b.lowest_pitch::integer - a.lowest_pitch::integer as semitones,
        count(*)                                          as num_anchors
    from kept as a
    inner join kept as b on a.shingle = b.shingle and a.performance_id < b.performance_id
    group by all
),
summed as (
    -- Ties go to the smaller transposition, so that the answer does not depend on the order of rows.
    select
        performance_a,
        performance_b,
        sum(num_anchors)                                  as num_shared,
        max(num_anchors)                                  as num_anchors,
        arg_max(semitones, preference)                    as semitones
    from (select *, num_anchors * 1000 - abs(semitones) * 2 - (semitones < 0)::integer as preference from shared)
    group by all
),
scored as (
    select
        summed.*,
        case when greatest(a.sampling, b.sampling) = 1 then least(a.num_fine, b.num_fine)
             else least(a.num_coarse, b.num_coarse) end as num_smaller
    from summed
    inner join sizes as a on a.performance_id = performance_a
    inner join sizes as b on b.performance_id = performance_b
),
resembling as (
    select performance_a, performance_b, num_shared / num_smaller as score, num_shared, num_anchors, semitones
    from scored
    where num_anchors >= $min_anchors
      and num_shared >= $min_score * num_smaller
      and num_anchors >= $min_anchor_share * num_smaller
),
steps as (
    -- How far b goes on while a does, from each anchor to the fourth after it; nearer ones tell of spread chords.
    select
        performance_a,
        performance_b,
        (b.onset_sec::double - lag(b.onset_sec::double, 4) over in_order)
            / nullif(a.onset_sec::double - lag(a.onset_sec::double, 4) over in_order, 0) as ratio
    from resembling
    inner join kept as a on a.performance_id = performance_a
    inner join kept as b on b.performance_id = performance_b and b.shingle = a.shingle
    where a.is_unique and b.is_unique and b.lowest_pitch::integer - a.lowest_pitch::integer = semitones
    window in_order as (partition by performance_a, performance_b order by a.onset_sec, b.onset_sec, a.shingle)
),
stretched as (
    -- The median: repeats that one of the two leaves out are jumps, which would tilt a fitted line.
    select
        performance_a,
        performance_b,
        if(median(ratio) > 0, median(ratio), null)                                      as tempo_ratio,
        count(ratio) >= $min_steps and avg((ratio < 0)::integer) >= $backwards_share    as is_backwards
    from steps
    group by performance_a, performance_b
),
alike as (
    -- Sorted windows are the same backwards; the same music is not.
    select *, 'similar' as relation, 3 as tier
    from resembling
    left join stretched using (performance_a, performance_b)
    where not coalesce(is_backwards, false)
),
facts as (
    select performance_id, file_id, num_notes, content_hashes.* exclude (performance_id)
    from performances
    inner join content_hashes using (performance_id)
),
hashed as (
    select performance_id, 0 as tier, 'same_bytes' as relation, file_id as hash, lowest_pitch, span_sec from facts
    union all
    select performance_id, 1, 'same_notes', content_hash_any_velocity, lowest_pitch, span_sec from facts
    union all
    -- Of a few notes, a key and a tempo further nothing is left to compare: any two intervals are alike.
    select performance_id, 2, 'edited_copy', content_hash_any_key, lowest_pitch, span_sec from facts
    where num_notes >= $min_edited_notes
    union all
    select performance_id, 2, 'edited_copy', content_hash_any_tempo, lowest_pitch, span_sec from facts
    where num_notes >= $min_edited_notes
),
equal as (
    select
        a.performance_id as performance_a, b.performance_id as performance_b, a.relation, a.tier,
        1.0 as score, 0 as num_shared, 0 as num_anchors,
        b.lowest_pitch::integer - a.lowest_pitch::integer as semitones,
        b.span_sec / nullif(a.span_sec, 0) as tempo_ratio
    from hashed as a
    inner join hashed as b using (tier, hash)
    where a.performance_id < b.performance_id
),
every as (
    select * from alike
    union all by name
    select * from equal
)
select
    performance_a,
    performance_b,
    arg_min(relation, tier)                                   as relation,
    round(least(max(score), 1), 6)                            as score,
    max(num_shared)                                           as num_shared,
    max(num_anchors)                                          as num_anchors,
    arg_min(semitones, tier)                                  as semitones,
    round(nullif(arg_min(coalesce(tempo_ratio, 'nan'), tier), 'nan'), 3) as tempo_ratio
from every
group by performance_a, performance_b
order by performance_a, performance_b
"""
