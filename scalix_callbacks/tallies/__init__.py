"""Numbers for Prometheus, counted in memory and shared by all workers of a launcher through files."""
