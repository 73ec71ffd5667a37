"""Bytes to text to examples: decoding, repair, formats, cleaning, duplicates, splits.

Read `read_files` first (ingest: a file into examples and rejects), then `clean_table` and `clean_row` (clean). Decoding begins
in `decode`; the modules `encoding_*` are its parts.
"""
