"""Results of jobs: standings, fronts, columns, importance."""
