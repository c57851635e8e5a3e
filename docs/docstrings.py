"""Has the reference find `keras_zsharp.models`, and show what a reader calls and its examples."""

import re

import griffe

DOCTEST = re.compile(r"(?:^Example:\n\n?)?^( *)>>> .*(?:\n *\S.*)*", re.MULTILINE)


class Docstrings(griffe.Extension):
    def on_instance(self, *, obj, **kwargs):
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(fenced, obj.docstring.value)

    def on_class_members(self, *, cls, **kwargs):
        if any(str(base).endswith("NamedTuple") for base in cls.bases):
            cls.set_member("__init__", constructor(cls))

    def on_package(self, *, pkg, loader, **kwargs):
        if pkg.path == "keras_zsharp":  # which is installed with models/ in it
            pkg.set_member("models", loader.load("models"))
            loader.resolve_aliases(implicit=True, external=False)
            unshadowed(list(modules(pkg)))


def fenced(match):
    code = re.sub(r"^Example:\n+", "", match[0])
    code = re.sub(rf"^{match[1]}", "", code, flags=re.MULTILINE)
    return f"**Example:**\n\n```pycon\n{code}\n```\n"


def constructor(cls):
    """What Python makes of the fields of a named tuple."""
    kind = griffe.ParameterKind.positional_or_keyword
    fields = [
        griffe.Parameter(name, annotation=field.annotation, kind=kind, default=field.value)
        for name, field in cls.attributes.items()
    ]
    parameters = griffe.Parameters(griffe.Parameter("self", kind=kind), *fields)
    return griffe.Function("__init__", parameters=parameters)


def modules(module):
    yield module
    for member in module.modules.values():
        if not member.is_alias:
            yield from modules(member)


def unshadowed(found):
    """Of a module and what a package imports from it by the same name, only the latter is seen."""
    hidden = {
        member.path: member.members[name]
        for module in found
        for name, member in module.modules.items()
        if module.imports.get(name) == f"{member.path}.{name}"
    }
    for module in found:
        for name, member in tuple(module.members.items()):
            is_known = not member.is_alias or member.resolved
            if is_known and member.canonical_path in hidden:
                target = hidden[member.canonical_path]
                module.members[name] = griffe.Alias(name, target, parent=module)
