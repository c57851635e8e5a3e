"""Makes of the README what a package index shows: there, links into the repository lead nowhere."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).resolve().parent
LINK = re.compile(r"\]\((?!\w+:|#)([^)\s]+)\)")
PICTURES = (".svg", ".png")


def with_addresses(markdown, homepage):
    """Markdown whose links to files of the repository are addresses at its homepage."""

    def address(match):
        kind = "raw" if match[1].endswith(PICTURES) else "blob"
        return f"]({homepage}/{kind}/main/{match[1]})"

    return LINK.sub(address, markdown)


def description():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    [homepage] = re.findall(r'^Homepage = "(.*)"$', project, re.MULTILINE)
    return with_addresses((ROOT / "README.md").read_text(encoding="utf-8"), homepage)


if __name__ == "__main__":
    setuptools.setup(long_description=description(), long_description_content_type="text/markdown")
