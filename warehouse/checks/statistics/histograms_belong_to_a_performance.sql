-- A row is a performance that has histograms and no statistics, or a weight that is not positive.
select
    histograms.performance_id,
    count(*)               as num_bins,
    min(histograms.weight) as weight_min
from histograms
left join performance_statistics using (performance_id)
group by histograms.performance_id
having any_value(performance_statistics.performance_id) is null or min(histograms.weight) <= 0
order by histograms.performance_id;
