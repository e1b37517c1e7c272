"""One module per stage, named after the library module it calls."""
