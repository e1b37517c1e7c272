-- A row is a measure of a dataset that drifted: its mean moved by more than half a standard deviation of the version
-- before, or its median left the middle 90 % of it. New music may well do that; so does a changed reader or a folder
-- that lost its files.
-- Severity: warning
select
    dataset,
    measure,
    mean_before,
    mean,
    p50_before,
    p50,
    p05_before,
    p95_before,
    shift,
    num_performances_before,
    num_performances
from statistics_drift
where is_drift
order by dataset, abs(shift) desc nulls last, measure;
