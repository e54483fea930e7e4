"""MLflow: one run a `kedro run`, everything that a person looks for in it, and the registry of champions."""
