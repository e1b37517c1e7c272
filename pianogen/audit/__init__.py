"""Does a split of anyone's music leak? Files in, verdict out: no project, no settings, no lake of one's own.

sources.py      folders, or a folder and a table of splits, to datasets whose files have a split
split_table.py  who says which file stands in which split
leaks.py        the duplicate pairs of those files, counted by splits and relation
anchors.py      places where two performances agree;  matching.py their notes, one by one
rolls.py        the worst pairs with their notes;  page.py  table, JSON and page
"""
