"""Sweeps: the same training over a grid of hyper-parameters, several methods and seeds. Each cell is a run in the store."""
