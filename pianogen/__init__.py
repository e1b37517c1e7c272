"""From a heap of MIDI files to a piano model whose every number can be trusted, traced and queried."""
