"""Training, fine-tuning, what was learned as typed states, and its files."""
