"""Reading and checking crystals of any kind; each row that cannot be used has its reason."""
