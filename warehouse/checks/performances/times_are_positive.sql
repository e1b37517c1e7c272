-- A row is a performance that lasts no time, or a press, tempo or signature that lies before its beginning or takes
-- less than no time.
select 'performances' as found_in, performance_id, duration_sec as amount
from performances
where not (duration_sec > 0 and duration_quarters > 0)

union all

select 'pedal_presses' as found_in, performance_id, lift_sec - press_sec as amount
from pedal_presses
where press_sec < 0 or lift_sec < press_sec

union all

select 'tempos' as found_in, performance_id, tempo_qpm as amount
from tempos
where time_sec < 0 or not (tempo_qpm > 0)

union all

select 'time_signatures' as found_in, performance_id, numerator as amount
from time_signatures
where time_sec < 0 or numerator < 1 or denominator < 1
order by found_in, performance_id;
