-- Under which licence is the music of each dataset, and may it be used commercially?
select dataset, num_performances, duration_hours, licence, non_commercial
from dataset_overview
order by dataset;
