"""What a sweep will cost, before anything starts."""
