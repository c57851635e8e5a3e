"""Has the reference find `keras_zsharp.models`, and show a docstring's examples as code."""

import re

import griffe

DOCTEST = re.compile(r"(?:^Example:\n\n?)?^( *)>>> .*(?:\n *\S.*)*", re.MULTILINE)


class Docstrings(griffe.Extension):
    def on_package(self, *, pkg, loader, **kwargs):
        if pkg.path == "keras_zsharp":  # which is installed with models/ in it
            pkg.set_member("models", loader.load("models"))

    def on_object(self, *, obj, **kwargs):
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(fenced, obj.docstring.value)


def fenced(match):
    code = re.sub(r"^Example:\n+", "", match[0])
    code = re.sub(rf"^{match[1]}", "", code, flags=re.MULTILINE)
    return f"**Example:**\n\n```pycon\n{code}\n```\n"
