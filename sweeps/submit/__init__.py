"""Giving a sweep to a Ray cluster as a job, and ending such a job."""
