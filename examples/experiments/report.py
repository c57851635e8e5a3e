"""The report on a grid, as Markdown with pictures beside it and as one file of HTML."""

import base64
import html

from experiments import files, pictures, summary
from experiments.grid import slug

NOTE = (
    "Test accuracy in % after the last epoch: mean ± sample standard deviation over seeds. `best` "
    "is the mean of every run's best epoch on the test data, which nobody knows who has not looked "
    "at them. `difference` is to the paper's mean. `p` is of a two-sided paired t-test over the "
    "seeds against {reference}, with no correction for the number of comparisons; where it is "
    "missing there are fewer than two common seeds, or the difference is the same with all of them."
)
CHOICE = (
    " Where a method was run with several values, `chosen` are those with the best mean accuracy "
    "on held-out training data after the last epoch; the test data had no part in it."
)
TIMED = (
    " `seconds` are those of the epochs' training, each epoch as long as the run's median one: "
    "compilation is left out. The first of the frontier is the fastest, and each of the others is "
    "more accurate than all that are faster."
)
STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .7em;text-align:right;"
    "border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}img{max-width:100%}"
)


def write(plan):
    """Writes `report.md` and `report.html` into the plan's folder; returns the latter's path."""
    blocks = content(plan)
    folder = plan.output / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for kind, *block in blocks:
        if kind == "picture":
            _write(folder / f"{slug(block[0])}.png", block[1])
    _write(plan.output / "report.md", markdown(blocks).encode())
    path = plan.output / "report.html"
    _write(path, as_html(plan.grid.title, blocks).encode())
    return path


def _write(path, content):
    with files.whole(path) as partial:
        partial.write_bytes(content)


def content(plan):
    """The parts of the report, in order: ("heading" | "text" | "table" | "picture", ...)."""
    grid, rows = plan.grid, summary.rows(plan)
    blocks = [("heading", 1, grid.title), ("text", _state(plan))]
    note = NOTE.format(reference=grid.reference)
    note += CHOICE * any(row.arms[1:] for row in rows) + TIMED * grid.timed
    blocks.append(("text", note))
    if grid.axis:
        for group in _groups(rows, lambda row: (row.setting.dataset, row.setting.network)):
            name = f"{group[0].setting.network} on {group[0].setting.dataset} by {grid.axis}"
            blocks.append(("picture", name, pictures.over_axis(group, grid.axis)))
    for group in _groups(rows, lambda row: row.setting.label):
        label = group[0].setting.label
        blocks.append(("heading", 2, label))
        blocks.append(("table", *table(group, plan)))
        if grid.timed:
            frontier = pictures.frontier(plan, group)
            blocks.append(("picture", f"{label} by seconds", frontier))
        blocks.append(("picture", f"{label} by epoch", pictures.learning_curves(plan, group)))
        blocks.append(("picture", f"{label} by choice", pictures.sensitivity(group)))
    return [block for block in blocks if block[-1] is not None]


def _groups(rows, key):
    groups = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups.values()


def _state(plan):
    left = plan.left()
    if not left:
        return f"All {len(plan.runs)} runs are finished."
    return (
        f"Incomplete: {len(left)} of {len(plan.runs)} runs are missing, and what is below is not "
        "the last word. `runs` says how many of each row are finished; these count."
    )


def table(rows, plan):
    """Header and lines of a setting's table, as strings, without columns that nothing fills."""
    grid = plan.grid
    header = [
        "method",
        "chosen",
        "test accuracy",
        "best",
        "paper",
        "difference",
        f"over {grid.reference}",
        "p",
        "train loss",
        "seconds",
        "runs",
    ]
    reference = next((row for row in rows if row.method.label == grid.reference), None)
    lines = [_line(row, reference, plan) for row in rows]
    filled = [i for i in range(len(header)) if any(line[i] for line in lines)]
    return [header[i] for i in filled], [[line[i] for i in filled] for line in lines]


def _line(row, reference, plan):
    grid, arm, label = plan.grid, row.chosen, row.method.label
    paper = grid.paper.get((row.setting.label, label))
    chosen = ", ".join(f"{k}={v}" for k, v in arm.choice.items()) if arm.results else ""
    line = [label, chosen, "missing", "", spread(*paper) if paper else "", *[""] * 5]
    if arm.results:
        mean, std = summary.mean_std(arm.percent().values())
        line[2] = spread(mean, std)
        line[3] = f"{summary.mean_std(arm.percent('best_test_accuracy').values())[0]:.2f}"
        line[5] = f"{mean - paper[0]:+.2f}" if paper else ""
        line[8] = f"{summary.mean_std(arm.values('train_loss').values())[0]:.4f}"
        if reference and row is not reference:
            over, p = summary.difference(arm, reference.chosen)
            line[6] = "" if over is None else f"{over:+.2f}"
            line[7] = "" if p is None else f"{p:.2g}"
        if grid.timed:
            line[9] = f"{summary.mean_std(summary.seconds(plan, arm))[0]:.1f}"
    return [*line, f"{row.finished} of {row.planned}"]


def spread(mean, std):
    return f"{mean:.2f}" if std is None else f"{mean:.2f} ± {std:.2f}"


def markdown(blocks):
    parts = []
    for kind, *block in blocks:
        if kind == "heading":
            parts.append(f"{'#' * block[0]} {block[1]}")
        elif kind == "text":
            parts.append(block[0])
        elif kind == "picture":
            parts.append(f"![{block[0]}](pictures/{slug(block[0])}.png)")
        else:
            header, lines = block
            rule = ["---", *["---:"] * (len(header) - 1)]
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *lines]))
    return "\n\n".join(parts) + "\n"


def as_html(title, blocks):
    parts = []
    for kind, *block in blocks:
        if kind == "heading":
            parts.append(f"<h{block[0]}>{html.escape(block[1])}</h{block[0]}>")
        elif kind == "text":
            parts.append(f"<p>{html.escape(block[0])}</p>")
        elif kind == "picture":
            data = base64.b64encode(block[1]).decode()
            name = html.escape(block[0], quote=True)
            parts.append(f'<img alt="{name}" src="data:image/png;base64,{data}">')
        else:
            header, lines = block
            parts.append(
                f"<table>{_tr('th', header)}{''.join(_tr('td', x) for x in lines)}</table>"
            )
    head = f"<meta charset='utf-8'><title>{html.escape(title)}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'>{head}\n" + "\n".join(parts) + "\n</html>\n"


def _tr(cell, texts):
    return "<tr>" + "".join(f"<{cell}>{html.escape(t)}</{cell}>" for t in texts) + "</tr>"
