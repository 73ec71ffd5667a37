"""Where a model comes from, how it is loaded in 4 bits, and its LoRA adapters.

Read `source`, `load` and `lora` first. `demo*` builds the demo model, `lean_*` and `fused_lora` make layers faster, `merge` puts
adapters into weights.
"""
