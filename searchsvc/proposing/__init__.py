"""From an algorithm to the next trial: suggestion, deduplication, hard constraints, replay."""
