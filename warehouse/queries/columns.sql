-- What do the columns of a table or view hold?
-- $table: its name, or all; default 'all'
select
    table_name,
    column_name,
    data_type,
    comment
from duckdb_columns()
where database_name = current_database() and not internal and ($table = 'all' or table_name = $table)
order by table_name, column_index;
