-- A row is an evaluated run of which no certificate of the contamination gate, or no split, is known: nobody can say
-- that its test music was unseen.
select
    experiment,
    run_id,
    split_version,
    certificate
from leaderboard
where coalesce(certificate, '') = '' or coalesce(split_version, '') = ''
order by experiment, run_id;
