"""Only what changed runs again: fingerprints, ledger, plan and runner.

Read `runner` first, then `plan` (what is done with a node), `depends` (what a node depends on) and `commit` (how its outputs are
published).
"""
