"""Structures in, point sets out: neighbourhoods, symmetry reduction, site features, and where they are kept."""
