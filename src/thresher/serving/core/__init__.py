"""A model at work: from encoded samples to answers, whatever protocol they come by."""
