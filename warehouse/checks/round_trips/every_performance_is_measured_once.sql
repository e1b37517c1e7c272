-- A row is a performance that a tokenizer did not encode and decode, or did twice, or one that is not there.
-- Materialize round_trips.
with expected as (
    select tokenizers.tokenizer, performances.performance_id, performances.dataset
    from performances
    cross join (select distinct tokenizer from round_trips) as tokenizers
),

measured as (
    select tokenizer, performance_id, count(*) as num_rows
    from round_trips
    group by tokenizer, performance_id
)

select
    coalesce(expected.tokenizer, measured.tokenizer)           as tokenizer,
    coalesce(expected.performance_id, measured.performance_id) as performance_id,
    expected.dataset,
    coalesce(measured.num_rows, 0)                             as num_rows
from expected
full join measured
    on expected.tokenizer = measured.tokenizer and expected.performance_id = measured.performance_id
where expected.performance_id is null or measured.num_rows is distinct from 1
order by all;
