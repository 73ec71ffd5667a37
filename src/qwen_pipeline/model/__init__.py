"""Where a model comes from, how it is loaded in 4 bits, and its LoRA adapters."""
