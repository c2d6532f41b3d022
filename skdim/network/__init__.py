"""The neural network: batches, the encoder, its objectives and its readout."""
