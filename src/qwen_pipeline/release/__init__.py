"""What is shipped: adapter, merged weights, GGUF, and the proof that they answer alike."""
