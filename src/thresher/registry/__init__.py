"""The registry of champions: promotes and rolls back versions, shows their history and serves them."""
