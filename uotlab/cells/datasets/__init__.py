"""Datasets of cells: one file is one family; the registry of datasets finds them by this package's name."""
