-- Why files of each dataset were rejected.
-- Grain: dataset, stage, reason.  Units: files.
-- Reads: rejections.  Used by: report, data card.
create or replace view rejections_by_reason as
select
    dataset,
    stage,
    reason,
    count(*) as num_files
from rejections
group by dataset, stage, reason;
