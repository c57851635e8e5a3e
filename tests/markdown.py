"""What tests read in a page: its programs, sections, tables, and the anchors of its headings."""

import re
import textwrap


def programs(text):
    """The Python programs of a page, those in lists too."""
    found = re.findall(r"^ *```python\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return list(map(textwrap.dedent, found))


def section(text, title):
    """What stands below a heading, up to the next of its level or above."""
    [(level, body)] = re.findall(rf"^(##+) {re.escape(title)}\n(.*)", text, re.M | re.S)
    return re.split(rf"^#{{2,{len(level)}}} ", body, flags=re.M)[0]


def tables(text):
    """Each table's rows, as dicts."""
    for lines in re.findall(r"(?:^\|.*\n?)+", text, re.M):
        head, _, *rows = (
            [cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in lines.splitlines()
        )
        yield [dict(zip(head, row, strict=True)) for row in rows]


def anchor(heading):
    """Where a link to the heading leads."""
    return re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
