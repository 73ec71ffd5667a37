"""Bytes to text to examples: decoding, repair, formats, cleaning, duplicates, splits."""
