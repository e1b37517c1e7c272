"""From shards and an experiment file to a trained model, in a process of its own."""
