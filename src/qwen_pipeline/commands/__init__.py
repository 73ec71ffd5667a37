"""One command a file; `cli.py` puts them together. Each imports what is slow, as torch, only when it is called."""
