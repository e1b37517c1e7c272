-- Which datasets hold scores on a grid, and which hold playing?
select
    dataset,
    count(*)                                                         as num_performances,
    count(*) filter (where is_on_grid)                               as num_on_grid,
    median(grid_distance)                                            as grid_distance_p50,
    count(*) filter (where num_velocities = 1)                       as num_of_one_velocity,
    count(*) filter (where num_sustain_presses > 0)                  as num_with_pedal,
    count(*) filter (where is_on_grid and num_velocities = 1)        as num_like_scores,
    count(*) filter (where not is_on_grid and num_velocities > 8)    as num_like_playing
from performance_statistics
group by dataset
order by dataset;
