"""Kedro glue: one folder a stage."""
