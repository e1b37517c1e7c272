"""MIDI and score files: parsing, time, pedals, rendering."""
