"""Only what changed runs again: fingerprints, ledger, plan and runner."""
