"""Pictures whose colors follow the reader's system, light or dark."""

import matplotlib

LIGHT = {"#000001": "#1f2328", "#fffffe": "#ffffff", "#dddde0": "#eceff4"}
DARK = {"#000001": "#e6e8eb", "#fffffe": "#1e2129", "#dddde0": "#2d323d"}
INK, PAPER, BOX = LIGHT
"""What is drawn by these has another color in the dark."""
INKED = {
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "text.color"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color"), INK),
    "axes.facecolor": PAPER,
}
"""Of matplotlib, for a figure that names no colors of its axes and text."""


def write(figure, path, fonttype="none"):
    """Writes a figure as SVG.

    Args:
        figure: Of matplotlib.
        path: Of the file.
        fonttype: `"none"` has the reader's fonts, `"path"` the outlines of matplotlib's.
    """
    with matplotlib.rc_context({"svg.hashsalt": "keras-zsharp", "svg.fonttype": fonttype}):
        figure.savefig(path, facecolor=PAPER, metadata={"Date": None, "Creator": None})
    text = path.read_text(encoding="utf-8")
    names = {color: f"--c{number}" for number, color in enumerate(LIGHT)}
    for color, name in names.items():
        text = text.replace(color, f"var({name})")
    schemes = (
        "; ".join(f"{names[color]}: {value}" for color, value in scheme.items())
        for scheme in (LIGHT, DARK)
    )
    style = "<style>svg {{ {} }} @media (prefers-color-scheme: dark) {{ svg {{ {} }} }}</style>"
    head, tag, rest = text.partition("<defs>")
    path.write_text(head + style.format(*schemes) + "\n " + tag + rest, encoding="utf-8")
