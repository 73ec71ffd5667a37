"""Typed parameters: one module a stage, every field with its limits."""
