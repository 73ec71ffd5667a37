"""File formats: each module is one adapter, found by being here."""
