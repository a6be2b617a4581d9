"""Pages: one file each. A page answers paths, draws itself for a visit, and registers its callbacks."""
