"""How good the tuned model is, beside its base model."""
