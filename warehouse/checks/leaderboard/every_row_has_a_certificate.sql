-- A row is an evaluated run of which no certificate of the contamination gate, or no split, is known: nobody can say
-- that its test music was unseen. Runs that were trained on it on purpose say so themselves, and have no rank.
select
    experiment,
    run_id,
    split_version,
    certificate
from leaderboard
where (coalesce(certificate, '') = '' or coalesce(split_version, '') = '') and coalesce(leak, 0) = 0
order by experiment, run_id;
