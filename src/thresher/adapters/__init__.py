"""What is used of a library beyond its documentation: a module a library, each with a test that says what changed.

The tests are in tests/dependency_contracts/, and one of them keeps private names out of all other modules. transformers
has its adapter in `thresher.models.pretrained`, and what only the service uses is in `thresher.serving`.
"""
