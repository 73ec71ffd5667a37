"""Checks of the machine and the project, one a file."""
