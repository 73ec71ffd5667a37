"""Memory: planned before the run, capped during it, measured, and recovered."""
