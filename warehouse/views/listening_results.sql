-- What listeners preferred, of each two sets of samples that were compared blind.
-- Grain: pair of sets, question.  Units: votes, share 0-1, probability.
-- Reads: listening_votes.  Used by: docs/listening.md, the command `pianogen listening results`.
--
-- set_a and set_b stand in the order of their names, whichever way round the tests were made. A pair that came twice
-- counts once, by its first vote; consistency is the share of those pairs whose second vote was the first one's.
-- share_a = wins_a / (wins_a + wins_b), with Wilson's 95 % interval, and p_value of the exact two-sided sign test: how
-- likely so one-sided a result is, or a more one-sided one, if nobody hears a difference. Ties stand beside: they count in
-- none of the three. All three take votes as independent, which those of one listener are not quite: see num_listeners.
create or replace view listening_results as
with votes as (
    select
        test_id,
        question,
        listener,
        pair,
        repeat_of,
        least(listening_votes.set_a, listening_votes.set_b)    as first_set,
        greatest(listening_votes.set_a, listening_votes.set_b) as second_set,
        case
            when preferred = 'none' then 'tie'
            when preferred = 'a'    then if(listening_votes.set_a < listening_votes.set_b, 'a', 'b')
            else if(listening_votes.set_a < listening_votes.set_b, 'b', 'a')
        end as preference
    from listening_votes
),

counts as (
    select
        first_set,
        second_set,
        question,
        count(distinct listener)                   as num_listeners,
        count(distinct test_id)                    as num_tests,
        count(*)                                   as num_votes,
        count(*) filter (where preference = 'a')   as wins_a,
        count(*) filter (where preference = 'b')   as wins_b,
        count(*) filter (where preference = 'tie') as ties,
        wins_a + wins_b                            as num_decided
    from votes
    where repeat_of is null
    group by first_set, second_set, question
),

repeats as (
    select
        again.first_set,
        again.second_set,
        again.question,
        count(*)                                                       as num_repeated,
        avg(if(again.preference = earlier.preference, 1.0, 0.0))::double as consistency
    from votes as again
    inner join votes as earlier
        on earlier.test_id = again.test_id
        and earlier.listener = again.listener
        and earlier.pair = again.repeat_of
    group by all
),

shares as (
    select
        *,
        wins_a / nullif(num_decided, 0) as share_a,
        1.959963984540054               as z,
        -- Sum of the binomial coefficients up to the smaller count, each over 2^n.
        list_sum(list_transform(
            range(0, least(wins_a, wins_b) + 1),
            lambda k: exp(
                lgamma(num_decided + 1) - lgamma(k + 1) - lgamma(num_decided - k + 1) - num_decided * ln(2)
            )
        )) as tail
    from counts
)

select
    shares.first_set  as set_a,
    shares.second_set as set_b,
    shares.question,
    num_listeners,
    num_tests,
    num_votes,
    wins_a,
    wins_b,
    ties,
    share_a,
    (share_a + z * z / (2 * num_decided) - z * sqrt(share_a * (1 - share_a) / num_decided + z * z / (4 * num_decided ** 2)))
        / (1 + z * z / num_decided) as share_a_low,
    (share_a + z * z / (2 * num_decided) + z * sqrt(share_a * (1 - share_a) / num_decided + z * z / (4 * num_decided ** 2)))
        / (1 + z * z / num_decided) as share_a_high,
    if(num_decided > 0, least(1.0::double, 2 * tail), null) as p_value,
    coalesce(num_repeated, 0) as num_repeated,
    consistency
from shares
left join repeats
    on repeats.first_set = shares.first_set
    and repeats.second_set = shares.second_set
    and repeats.question = shares.question
order by set_a, set_b, shares.question;
