"""Note columns to token ids and back, a module per published scheme."""
