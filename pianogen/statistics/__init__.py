"""Statistics of music: measured per performance, block by block, then compared in SQL.

bins.py           the histograms that are kept;  measured.py, a level below, defines every measure
measures.py       the tables of a block to its statistics, by way of the compiled passes
                  counted_notes, polyphony, repetition, beats, and tonality
build.py          a dataset's blocks, each measured once;  history.py what its earlier versions were like
comparison.py     datasets beside each other
"""
