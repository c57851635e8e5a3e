"""The tables of rules in the pages, from the rules' classes.

    python -m tests.rules.tables

writes them anew, after a rule or its docstring has changed.
"""

import inspect
import pathlib
import re
import statistics

from keras_zsharp.rules import RULES

ROOT = pathlib.Path(__file__).parents[2]
PAGES = {"README.md": "docs/methods/", "docs/methods/index.md": ""}
"""Where the methods' pages are, seen from each page that has the table."""
TABLE = re.compile(r"(?<=<!-- rules -->\n).*?(?=<!-- /rules -->)", re.DOTALL)
FORMULA = re.compile(r"(?:`e\(w\) = |(?<=optimizer )gets `)[^.]*")


def facts(name, folder):
    """What each column says of a rule."""
    rule = RULES[name]
    doc = inspect.cleandoc(rule.__doc__)
    return {
        "rule": f"[`{rule.__name__}`]({folder}{name}.md)",
        "what it does": doc.partition("\n")[0].removesuffix("."),
        "starting `rho`": f"{inspect.signature(rule).parameters['rho'].default}",
        "passes a step": f"{passes(rule()):g}",
        "e(w), or what the optimizer gets": FORMULA.findall(" ".join(doc.split()))[-1],
    }


def passes(rule):
    """Passes a step, on average over 60 steps."""
    if rule.reads != "gradients":
        return 1
    return 1 + statistics.fmean(bool(rule.perturbs(step)) for step in range(60))


def table(path):
    first = ("sam", "zsharp")
    rows = [facts(name, PAGES[path]) for name in [*first, *sorted(set(RULES) - {*first})]]
    columns = [column for column in rows[0] if path != "README.md" or "e(w)" not in column]
    lines = [columns, ["---", "---", "---:", "---:", "---"][: len(columns)]]
    lines += [[row[column] for column in columns] for row in rows]
    assert not any("|" in cell for line in lines for cell in line)
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


if __name__ == "__main__":
    for path in PAGES:
        page = ROOT / path
        text = page.read_text(encoding="utf-8")
        page.write_text(TABLE.sub(lambda _, path=path: table(path), text), encoding="utf-8")
