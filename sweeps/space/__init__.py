"""The search space of a sweep: what its keys may take, and whether that can work."""
