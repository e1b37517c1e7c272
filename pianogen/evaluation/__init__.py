"""From a trained model and the test split to numbers that can be compared."""
