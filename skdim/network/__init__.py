"""Point sets in, environments, vectors and losses out: batches, the encoder, its readout and its objectives."""
