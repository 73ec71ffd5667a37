"""What is shipped: adapter, merged weights, GGUF, and the proof that they answer alike.

Read `exports` first (writes each format), then `clients` and `gate` (open it and compare).
"""
