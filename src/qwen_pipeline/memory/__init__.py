"""Memory: planned before the run, capped during it, measured, and recovered.

Read `choice` first (the plan: which settings fit), then `planner` and `trace` (what a setting takes), `cap` and `recovery`
(what happens when the plan was wrong).
"""
