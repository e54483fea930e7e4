"""Pretrained models: a folder in the layout that Hugging Face made standard, read without running anything of it."""
