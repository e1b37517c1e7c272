-- Which files are no performances, and why?
-- $dataset: name of the dataset, or all; default 'all'
-- $reason: one of those in rejections_by_reason, or all; default 'all'
select
    dataset,
    path,
    stage,
    reason,
    detail
from rejections
where ($dataset = 'all' or dataset = $dataset) and ($reason = 'all' or reason = $reason)
order by dataset, reason, path;
