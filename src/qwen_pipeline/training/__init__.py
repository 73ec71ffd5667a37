"""The training loop and what keeps it alive.

Read `session` first (one training from plan to adapter), then `loop` (its steps) and `step` (one of them).
"""
