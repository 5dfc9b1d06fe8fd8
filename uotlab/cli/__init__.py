"""Commands of `python -m uotlab` that have a module of their own."""
