"""What comes back when a tokenizer encodes music and decodes it again, and what it costs in tokens.

matching.py    which decoded notes are notes of the source, and how far off they lie
measures.py    one tokenizer over a block of music: a row of figures for each performance
tokenizers.py  which tokenizers are measured: built-in ones, and those of the settings
build.py       the stage: blocks of figures for every tokenizer and every block of the ingest
"""
