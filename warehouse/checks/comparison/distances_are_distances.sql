-- A row is a distance that is none: negative or above 1 bit, not zero from a distribution to itself, or another one
-- the other way round.
select
    one.kind,
    one.dataset_a,
    one.split_a,
    one.counted_a,
    one.dataset_b,
    one.split_b,
    one.counted_b,
    one.measure,
    one.jensen_shannon_bits,
    one.wasserstein,
    other.jensen_shannon_bits as jensen_shannon_bits_back
from distances as one
left join distances as other
    on
        one.kind = other.kind
        and one.measure = other.measure
        and one.dataset_a = other.dataset_b
        and one.split_a = other.split_b
        and one.counted_a = other.counted_b
        and one.dataset_b = other.dataset_a
        and one.split_b = other.split_a
        and one.counted_b = other.counted_a
where
    not coalesce(one.jensen_shannon_bits between 0 and 1 + 1e-9, false)
    or coalesce(one.wasserstein < 0, false)
    or abs(one.jensen_shannon_bits - coalesce(other.jensen_shannon_bits, 9)) > 1e-9
    or (
        one.dataset_a = one.dataset_b and one.split_a = one.split_b and one.counted_a = one.counted_b
        and (one.jensen_shannon_bits > 1e-9 or coalesce(one.wasserstein, 0) > 1e-9)
    )
order by all;
