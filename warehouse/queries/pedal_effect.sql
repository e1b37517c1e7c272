-- How much longer do notes sound than they are held, and how many more sound at once, because of the pedal?
select
    dataset,
    avg(sustain_share)                                                          as sustain_share,
    avg(note_duration_sec_mean)                                                 as held_sec,
    avg(sounding_note_duration_sec_mean)                                        as sounding_sec,
    avg(sounding_note_duration_sec_mean) / avg(note_duration_sec_mean)          as ratio,
    avg(polyphony_mean)                                                         as polyphony,
    avg(sounding_polyphony_mean)                                                as sounding_polyphony
from performance_statistics
group by dataset
order by ratio desc nulls last, dataset;
