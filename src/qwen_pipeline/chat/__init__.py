"""Chat template, trained labels and packed batches."""
