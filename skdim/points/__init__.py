"""Point sets: neighbourhoods, symmetry reduction, site features, and how they are stored."""
