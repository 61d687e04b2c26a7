"""What is wrong with a machine or a cluster, before a sweep finds out: ``sweeps doctor``."""
