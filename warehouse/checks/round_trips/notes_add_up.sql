-- A row is a round trip whose source has other notes than the performance, or that matched more notes than there were,
-- or whose figures are negative.
select
    round_trips.tokenizer,
    round_trips.performance_id,
    performances.num_notes as num_notes_ingested,
    round_trips.num_notes,
    round_trips.num_decoded,
    round_trips.num_matched,
    round_trips.num_same_pitch
from round_trips
inner join performances using (performance_id)
where
    round_trips.num_notes <> performances.num_notes
    or round_trips.num_matched > round_trips.num_same_pitch
    or round_trips.num_same_pitch > least(round_trips.num_notes, round_trips.num_decoded)
    or round_trips.num_unencodable > round_trips.num_notes - round_trips.num_matched
    or round_trips.num_unknown > round_trips.num_tokens
    or least(
        round_trips.num_matched, round_trips.num_tokens, round_trips.num_unknown,
        coalesce(round_trips.residual_bits, 0),
        coalesce(round_trips.onset_error_sec, 0), coalesce(round_trips.duration_error_sec, 0),
        coalesce(round_trips.velocity_error, 0)
    ) < 0
order by all;
