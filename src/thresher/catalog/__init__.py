"""The catalog as a recipe needs it, checked with places before anything runs: by `check`, `plan` and `kedro run`."""
