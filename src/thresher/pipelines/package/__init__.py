"""Register the winner, unless the champion is better, and pack the champion into a Bento."""
