"""What type checkers see of the package: names that `__init__.py` imports late."""

from thresher.api import Project as Project
from thresher.api import RecipeError as RecipeError
from thresher.api import Results as Results
from thresher.api import ThresherError as ThresherError
from thresher.api import open_project as open_project

__version__: str
