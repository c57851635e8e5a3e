"""Prints what a notebook's install cell installs, with this folder for the repository.

python -m tests.examples.installed examples/colab_cifar10.ipynb | xargs pip install
"""

import json
import pathlib
import re
import shlex
import sys


def requirements(notebook):
    """Those of the cell, as pip takes them."""
    cells = json.loads(pathlib.Path(notebook).read_text(encoding="utf-8"))["cells"]
    [source] = [c["source"] for c in cells if "install" in c["metadata"].get("tags", ())]
    lines = re.findall("%pip install -q (.*)", "".join(source))
    found = [word for line in lines for word in shlex.split(line)]
    return [re.sub(r"^keras-zsharp(.*) @ .*", r"--editable=.\1", word) for word in found]


if __name__ == "__main__":
    print(*map(shlex.quote, requirements(sys.argv[1])), sep="\n")
