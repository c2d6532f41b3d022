"""Point sets in, the state of a trained model out, and vectors or predictions from it."""
