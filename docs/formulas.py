"""Has the site show the formulas of the pages as MathML, which browsers draw by themselves."""

import re

from latex2mathml.converter import convert

FORMULA = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown, **kwargs):
    return FORMULA.sub(drawn, markdown)


def drawn(match):
    latex = " ".join(match[1].split())
    return f'<div class="formula">{convert(latex, display="block")}</div>'
