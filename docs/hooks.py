"""Makes pages of what lies outside of docs/: README, changelog, and files that a page links to."""

import ast
import pathlib
import posixpath
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[1]
LINK = re.compile(r'(\]\(|(?:src|href)=")([^)\s"#]+)')
PRINTED = re.compile(r"results/(.*/.*|faults|selection|step-time.*|input-pipeline|backends)\.md")
LANGUAGES = {"": "text", ".py": "python", ".sh": "sh", ".toml": "toml", ".yml": "yaml"}
outside = {}
"""Paths in the repository by their places on the site."""


def on_config(config):
    config.nav = expanded(config.nav, pathlib.Path(config.docs_dir), set(named(config.nav)))


def on_files(files, config):
    found, left = set(), ["README.md", "CHANGELOG.md", *(f"docs/{f.src_uri}" for f in files)]
    while left:
        path = left.pop()
        if path not in found and (ROOT / path).exists():
            found.add(path)
            left += linked(path)
    outside.update({place(path): path for path in found if not path.startswith("docs/")})
    for uri, path in outside.items():
        content = {"content": text(path)} if uri.endswith(".md") else {"abs_src_path": ROOT / path}
        files.append(File.generated(config, uri, **content))


def on_page_markdown(markdown, page, config, files):
    uri = page.file.src_uri
    path = outside.get(uri, f"docs/{uri}")
    if uri == "index.md":
        page.meta["hide"] = ["navigation"]
    if uri.startswith("source/"):
        page.meta["hide"] = ["navigation", "toc"]  # lines of 100 columns
        page.meta["search"] = {"exclude": True}
    if PRINTED.fullmatch(uri):
        page.meta["hide"] = ["toc"]  # their tables are wide

    markdown = markdown.replace("<!-- every rule -->", "\n\n".join(every_rule()))

    def rewritten(match):
        found = in_repository(match[2], path)
        if found is None:
            return match[0]
        return match[1] + posixpath.relpath(place(found), posixpath.dirname(uri) or ".")

    return LINK.sub(rewritten, indented(markdown))


def every_rule():
    """A line for the class of each rule, from which its reference is made."""
    tree = ast.parse((ROOT / "keras_zsharp/rules/__init__.py").read_text(encoding="utf-8"))
    [names] = [ast.literal_eval(each.value) for each in tree.body if isinstance(each, ast.Assign)]
    return [f"::: keras_zsharp.{name}" for name in names if name != "Rule"]


def indented(markdown):
    """A page whose numbered lists have three spaces, as a Markdown wants it that asks for four."""
    lines, in_list = [], False
    for line in markdown.split("\n"):
        in_list = bool(re.match(r"\d+\. ", line)) or (in_list and line[:1] in ("", " "))
        lines.append(f" {line}" if in_list and line.startswith("   ") else line)
    return "\n".join(lines)


def named(nav):
    """The pages and patterns of the navigation."""
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from named(entry)


def expanded(nav, docs, elsewhere):
    """The navigation with the pages that its patterns stand for: those that it does not name."""
    if isinstance(nav, dict):
        return {title: expanded(entry, docs, elsewhere) for title, entry in nav.items()}
    if isinstance(nav, list):
        return [expanded(entry, docs, elsewhere) for entry in nav]
    if "*" not in nav:
        return nav
    pages = (page.relative_to(docs).as_posix() for page in sorted(docs.glob(nav)))
    return [page for page in pages if page not in elsewhere]


def place(path):
    """Where the site has a file or a folder of the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path == "README.md":
        return "index.md"
    file = pathlib.PurePath(path)
    if file.name == "README.md":
        return f"{file.parent}.md"
    if file.suffix == ".md":
        return path.lower() if file.name == path else f"source/{path}"
    is_page = (ROOT / path).is_dir() or file.suffix in LANGUAGES
    return f"source/{path}.md" if is_page else f"source/{path}"


def linked(path):
    """The files and folders of the repository that a page or a folder of it leads to."""
    if path.endswith(".md") or (ROOT / path).is_dir():
        for _, target in LINK.findall(text(path)):
            if (found := in_repository(target, path)) is not None:
                yield found


def in_repository(target, path):
    """What a link of the file `path` leads to; None if that is an address, or is not there."""
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return found if "://" not in target and (ROOT / found).exists() else None


def text(path):
    """The Markdown of a file or folder."""
    file = ROOT / path
    if file.is_dir():
        names = sorted(each.name for each in file.iterdir() if each.suffix in LANGUAGES)
        return f"# {path}\n\n" + "\n".join(f"- [{name}]({file.name}/{name})" for name in names)
    content = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        return content
    return f"# {file.name}\n\n`{path}`\n\n````{LANGUAGES[file.suffix]}\n{content}````\n"
