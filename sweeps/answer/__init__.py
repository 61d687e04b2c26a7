"""What a sweep has found: rows, intervals, verdict, advice, and how they are told."""
