"""The site has every public name, its links lead somewhere, and it needs no network."""

import functools
import html
import html.parser
import importlib
import inspect
import json
import pathlib
import re
import subprocess
import sys
import urllib.parse
from xml.etree import ElementTree

import pytest

import keras_zsharp

pytestmark = pytest.mark.project
ROOT = pathlib.Path(__file__).parents[1]
MODULES = [name for name in keras_zsharp.__all__ if inspect.ismodule(getattr(keras_zsharp, name))]
MODULES += ["rules", "training"]


class Page(html.parser.HTMLParser):
    """The addresses of a page, those that a browser loads, its anchors and pictures' words."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.anchors, self.words = [], [], set(), {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors.add(attributes.get("id"))
        if tag == "a":
            self.links.append(attributes.get("href") or "")
        if tag == "img":
            self.words[attributes["src"]] = attributes.get("alt")
        if tag in ("script", "img", "link", "iframe"):
            self.loaded.append(attributes.get("src") or attributes.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    found = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    return {path: page for path, page in found.items() if path.name != "404.html"}


def public_names():
    """Of a name that is public twice, the shorter."""
    own = set(keras_zsharp.__all__)
    for name in MODULES:
        module = importlib.import_module(f"keras_zsharp.{name}")
        public = getattr(module, "__all__", None) or defined_in(module)
        yield from (f"keras_zsharp.{name}.{each}" for each in public if each not in own)
    yield from (f"keras_zsharp.{each}" for each in own - set(MODULES))


def defined_in(module):
    return [n for n, value in vars(module).items() if inspect.getmodule(value) is module]


def test_every_public_name_is_in_the_reference(site, pages):
    reference = [page for path, page in pages.items() if path.parent == site / "reference"]
    anchors = set().union(*(page.anchors for page in reference))
    assert not set(public_names()) - anchors


def entries(site):
    """The HTML of each entry of the reference, without that of its members."""
    for path in sorted((site / "reference").glob("*.html")):
        for entry in path.read_text(encoding="utf-8").split('<div class="doc doc-object ')[1:]:
            yield re.search(r'id="(keras_zsharp.*?)"', entry)[1], entry


def test_every_entry_of_the_reference_has_a_signature_and_a_description(site):
    """But an error: who catches one does not make it."""
    found = dict(entries(site))
    assert len(found) > 90
    bare = [name for name, entry in found.items() if "doc-signature" not in entry]
    assert [name for name in bare if not issubclass(value_of(name), Exception)] == []
    assert [name for name, entry in found.items() if not re.search(r"<p>\s*\S", entry)] == []


def value_of(name):
    return functools.reduce(getattr, name.split(".")[1:], keras_zsharp)


def test_no_page_shows_a_fence(site):
    """Outside of programs that write Markdown."""
    pages = [path for path in site.rglob("*.html") if "source" not in path.parts]
    assert [path for path in pages if "```" in path.read_text(encoding="utf-8")] == []


def test_the_formulas_are_mathml(site):
    """Well-formed, with no command of LaTeX left."""
    for source in (ROOT / "docs" / "methods").glob("*.md"):
        page = (site / "methods" / source.with_suffix(".html").name).read_text(encoding="utf-8")
        formulas = re.findall(r'<div class="formula">(.*?)</div>', page, re.DOTALL)
        assert len(formulas) == source.read_text(encoding="utf-8").count("```math\n"), source
        for formula in formulas:
            shown = "".join(ElementTree.fromstring(formula).itertext())
            assert shown, source
            assert not re.search(r"[\\&]\w", shown), (source, shown)


def test_every_link_leads_somewhere(pages):
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme:
                continue
            target = path.parent / urllib.parse.unquote(parts.path) if parts.path else path
            target = target.resolve() / ("index.html" if target.is_dir() else "")
            assert target.exists(), (path, link)
            if target in pages and parts.fragment:
                assert urllib.parse.unquote(parts.fragment) in pages[target].anchors, (path, link)


def test_a_numbered_list_goes_on_after_a_program(site):
    source = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    numbers = re.findall(r"^(\d+)\. ", source.partition("## A backend")[0], re.MULTILINE)
    page = (site / "contributing.html").read_text(encoding="utf-8")
    rule, *_ = re.findall(r"<ol>.*?</ol>", page, re.DOTALL)
    assert rule.count("<li>") == len(numbers) > 5


def test_nothing_is_fetched_from_the_network(site, pages):
    for path, page in pages.items():
        outside = [each for each in page.loaded if "//" in each and not each.startswith("data:")]
        assert not outside, path
    for style in site.rglob("*.css"):
        assert "url(http" not in style.read_text(encoding="utf-8"), style


def test_every_picture_has_words_for_those_who_do_not_see_it(pages):
    for path, page in pages.items():
        assert all(page.words.values()), path


def test_every_page_has_a_title_of_its_own(pages):
    titles = {}
    for path in pages:
        [title] = re.findall(r"<title>(.*?)</title>", path.read_text(encoding="utf-8"))
        if "source" not in path.parts:
            titles.setdefault(title, []).append(path)
    assert [found for found in titles.values() if len(found) > 1] == []


def test_the_signatures_are_broken_into_lines(site):
    """By ruff, which the extra `docs` brings."""
    for name, entry in entries(site):
        for signature in re.findall(r"<code>.*?</code>", entry.partition("doc-contents")[0], re.S):
            lines = re.sub(r"<.*?>", "", signature).splitlines()
            assert max(map(len, map(html.unescape, lines))) <= 100, name


def test_the_search_knows_the_pages(site):
    entries = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = {entry["location"].partition("#")[0] for entry in entries["docs"]}
    assert {"index.html", "guides/own-rule.html", "reference/rules.html", "changelog.html"} <= found
    assert not any(location.startswith("source/") for location in found)
    # What a page that is opened as a file reads.
    assert (site / "search" / "search_index.js").read_text(encoding="utf-8").startswith("var __")
