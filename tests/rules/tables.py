"""The table of rules in the methods' overview, from the rules' classes.

    python -m tests.rules.tables

writes it anew, after a rule or its docstring has changed.
"""

import inspect
import pathlib
import re
import statistics

from examples.study import radii
from keras_zsharp.rules import RULES

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "methods" / "index.md"
TABLE = re.compile(r"(?<=<!-- rules -->\n).*?(?=<!-- /rules -->)", re.DOTALL)
FORMULA = re.compile(r"(?:`e\(w\) = |(?<=optimizer )gets `)[^.]*")


def facts(name, starting):
    """What each column says of a rule."""
    rule = RULES[name]
    [rho, *_] = starting.get(rule.__name__, ("",))
    doc = inspect.cleandoc(rule.__doc__)
    return {
        "rule": f"[`{rule.__name__}`]({name}.md)",
        "what it does": doc.partition("\n")[0].removesuffix("."),
        "starting `rho`": rho and f"{rho:g}",
        "default": f"{inspect.signature(rule).parameters['rho'].default}",
        "passes a step": f"{passes(rule()):g}",
        "e(w), or what the optimizer gets": FORMULA.findall(" ".join(doc.split()))[-1],
    }


def passes(rule):
    """Passes a step, on average over 60 steps."""
    if rule.reads != "gradients":
        return 1
    return 1 + statistics.fmean(bool(rule.perturbs(step)) for step in range(60))


def table():
    first = ("sam", "zsharp")
    starting = radii.starting()
    rows = [facts(name, starting) for name in [*first, *sorted(set(RULES) - {*first})]]
    lines = [list(rows[0]), ["---", "---", "---:", "---:", "---:", "---"]]
    lines += [list(row.values()) for row in rows]
    assert not any("|" in cell for line in lines for cell in line)
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda _: table(), text), encoding="utf-8")
