"""One check a file: a function `check(inspection)` that yields findings, and its place `ORDER`."""
