-- What comes back when a tokenizer encodes music and decodes it again, by dataset and split; docs/tokenizers/round-trip.md.
-- Grain: tokenizer, dataset, split (or all).  Units: counts, shares 0-1, milliseconds, MIDI velocities.
-- Reads: round_trips, performances, splits.  Used by: report, pianogen tokenizers, the asset round_trips.
--
-- Sums over all notes of the music, so that long performances count for more. A decoded note is matched with one of the
-- source of its pitch whose onset lies within 50 ms. Errors are means over matched notes, null where the tokens say
-- nothing of it. residual_bits_per_note is what the tokens leave unsaid of notes and sustain pedal: the length of a
-- simple code that makes the piece of what they decode to (round_trips/residual.py). All takes in what no split has.
create or replace view tokenizer_round_trips as
with standing as (
    select
        round_trips.*,
        performances.dataset,
        unnest(['all', nullif(splits.split, 'none')]) as split
    from round_trips
    inner join performances using (performance_id)
    left join splits using (performance_id)
),

summed as (
    select
        tokenizer,
        dataset,
        split,
        count(*)                      as num_performances,
        sum(num_notes)::bigint        as num_notes,
        sum(num_decoded)::bigint      as num_decoded,
        sum(num_matched)::bigint      as num_matched,
        sum(num_same_pitch)::bigint   as num_same_pitch,
        sum(num_unencodable)::bigint  as num_unencodable,
        sum(num_tokens)::bigint       as num_tokens,
        sum(num_unknown)::bigint      as num_unknown,
        sum(residual_bits)            as residual_bits,
        sum(onset_error_sec)          as onset_error_sec,
        sum(onset_shift_sec)          as onset_shift_sec,
        sum(duration_error_sec)       as duration_error_sec,
        sum(velocity_error)           as velocity_error
    from standing
    where split is not null
    group by tokenizer, dataset, split
)

select
    tokenizer,
    dataset,
    split,
    num_performances,
    num_notes,
    num_decoded,
    num_tokens,
    num_matched / nullif(num_decoded, 0)                          as "precision",
    num_matched / nullif(num_notes, 0)                            as recall,
    2 * num_matched / nullif(num_notes + num_decoded, 0)          as f1,
    2 * num_same_pitch / nullif(num_notes + num_decoded, 0)       as pitch_f1,
    1000 * onset_error_sec / nullif(num_matched, 0)               as onset_error_ms,
    1000 * onset_shift_sec / nullif(num_matched, 0)               as onset_shift_ms,
    1000 * duration_error_sec / nullif(num_matched, 0)            as duration_error_ms,
    velocity_error / nullif(num_matched, 0)                       as velocity_error,
    num_tokens / nullif(num_notes, 0)                             as tokens_per_note,
    num_unknown / nullif(num_tokens, 0)                           as unknown_token_rate,
    num_unencodable,
    residual_bits / nullif(num_notes, 0)                          as residual_bits_per_note
from summed;
