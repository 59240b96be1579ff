"""The programs that judge the files of deploy/."""

import os
import shutil
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"


def tool(name: str, package: str) -> str:
    """Where it is; without it nothing of this is proven, which CI must not pass over."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        sentence = f"{name} is missing: install Debian's package {package} (apt-get install {package})."
        if os.environ.get("CI"):
            pytest.fail(sentence, pytrace=False)
        pytest.skip(sentence)
    return found
