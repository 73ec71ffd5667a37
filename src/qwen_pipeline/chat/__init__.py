"""Chat template, trained labels and packed batches."""

IGNORE_INDEX = -100  # a label that is not trained. Source: torch.nn.functional.cross_entropy
