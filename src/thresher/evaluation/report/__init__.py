"""What a person reads of a verdict: plots, the report as one page, the model card."""
