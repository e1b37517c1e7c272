-- How far apart two distributions of one measure are: of two datasets, of two splits of one, or of all performances
-- beside those that are left when the same music counts once.
-- Grain: kind, dataset_a, split_a, counted_a, dataset_b, split_b, counted_b, measure; both orders, and each with itself.
-- Units: bits (jensen_shannon_bits), wasserstein_unit.
-- Reads: distributions, histogram_bins.  Used by: the comparison stage, dataset_distances, split_distances,
-- dedupe_distances.
--
-- jensen_shannon_bits: divergence in base 2, 0 (the same) to 1 (no value in common); its square root is a metric.
-- Source: Lin 1991. wasserstein: how far the one has to be moved, on average, to become the other, along the bins: the
-- area between the cumulative shares. Bins of equal ratio are moved along in doublings; a circle (pitch class, place
-- in the quarter) has no such distance. counted is explained by distributions.
create or replace view distances as
with groups as (
    select distinct dataset, split, counted, measure
    from distributions
),

dense as (
    select
        groups.dataset,
        groups.split,
        groups.counted,
        groups.measure,
        bins.bin,
        bins.is_circular,
        if(bins.is_ratio, log2(bins.low), (bins.low + bins.high) / 2) as place,
        if(bins.is_ratio, 'doublings', bins.unit)                     as unit,
        coalesce(found.share, 0)                                      as share
    from groups
    inner join histogram_bins as bins using (measure)
    left join distributions as found using (dataset, split, counted, measure, bin)
),

cumulative as (
    select
        *,
        lead(place) over in_order - place as width,
        sum(share) over in_order          as below
    from dense
    window in_order as (partition by dataset, split, counted, measure order by bin)
),

pairs as (
    select
        case
            when a.dataset <> b.dataset or (a.split = b.split and a.counted = b.counted and a.split = 'all')
                then 'datasets'
            when a.counted = b.counted then 'splits'
            else 'counted'
        end as kind,
        a.dataset as dataset_a,
        a.split   as split_a,
        a.counted as counted_a,
        b.dataset as dataset_b,
        b.split   as split_b,
        b.counted as counted_b,
        a.measure,
        a.bin,
        a.is_circular,
        a.unit,
        abs(a.below - b.below) * a.width as moved,
        case when a.share > 0 then a.share / 2 * log2(2 * a.share / (a.share + b.share)) else 0 end
        + case when b.share > 0 then b.share / 2 * log2(2 * b.share / (a.share + b.share)) else 0 end as bits
    from cumulative as a
    inner join cumulative as b
        on
            a.measure = b.measure
            and a.bin = b.bin
            and (
                (a.split = 'all' and b.split = 'all' and a.counted = b.counted)
                or (a.dataset = b.dataset and a.split <> 'all' and b.split <> 'all' and a.counted = b.counted)
                or (a.dataset = b.dataset and a.split = b.split and a.counted <> b.counted)
            )
)

select
    kind,
    dataset_a,
    split_a,
    counted_a,
    dataset_b,
    split_b,
    counted_b,
    measure,
    greatest(0, sum(bits))                                        as jensen_shannon_bits,
    case when not any_value(is_circular) then sum(moved) end      as wasserstein,
    case when not any_value(is_circular) then any_value(unit) end as wasserstein_unit
from pairs
group by all;
