"""The machine that will serve: all candidates in a folder that times them there, and a verdict by what it found."""
