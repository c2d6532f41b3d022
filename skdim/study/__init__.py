"""The recorded study of what vectors are worth with few labels, and its report: what `skdim benchmark` runs."""
