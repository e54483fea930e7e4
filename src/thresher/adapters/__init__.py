"""What is used of a library beyond its documentation: a module a library, each with a test that says what changed.

The tests are in tests/dependency_contracts/. What only the service uses is in `thresher.serving`.
"""
