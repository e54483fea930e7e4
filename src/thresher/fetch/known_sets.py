"""The data sets that can be fetched by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """One file as its authors published it."""

    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class KnownSet:
    """A data set: where it is published, what it must be, and where it goes."""

    address: str
    """Public folder; a file's name is appended to it."""
    folder: str
    """Where the files go, relative to the project."""
    licence: str
    files: tuple[RemoteFile, ...]


KNOWN_SETS = {
    "fashion_mnist": KnownSet(
        address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        folder="data/01_raw/fashion_mnist",
        licence="Zalando Research, MIT",
        files=(
            RemoteFile(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            RemoteFile(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            RemoteFile(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            RemoteFile(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    ),
}
