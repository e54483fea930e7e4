"""`python -m thresher` is the `thresher` command."""

from thresher.cli.program import main, thresher

__all__ = ["main", "thresher"]

if __name__ == "__main__":
    main()
