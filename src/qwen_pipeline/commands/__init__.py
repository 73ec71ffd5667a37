"""One command a file; `cli.py` puts them together and imports none of their heavy needs."""
