"""The report on a grid, as Markdown with pictures beside it and as one file of HTML."""

import base64
import html

from experiments import files, pictures, summary, tables
from experiments.grid import slug

NOTE = (
    "Test accuracy in % after the last epoch: mean ± sample standard deviation over seeds. `best` "
    "is the mean of every run's best epoch on the test data, which nobody knows who has not looked "
    "at them. `difference` is to the paper's mean. `over {reference}` is the mean of the "
    "differences, seed by seed, with their 95 % interval by Student's t, with no correction for "
    "the number of comparisons. An interval with 0 in it does not say that there is no difference. "
    "`could show` is the difference that would have an interval without 0 four times in five, with "
    "so many seeds that scatter like these. Both are missing where there are fewer than two common "
    "seeds, or where the difference is the same with all of them."
)
CHOICE = (
    " Where a method was run with several values, `chosen` are those with the best mean accuracy "
    "on held-out training data after the last epoch; the test data had no part in it."
)
NOISY = (
    " `by noisy labels`: what held-out labels as wrong as the training labels choose instead, and "
    "the test accuracy with it."
)
TIMED = (
    " `seconds` are those of a run's steps: of each epoch the median over the runs. The first "
    "epoch, which has the compilation, counts as the second. The first of the frontier is the "
    "fastest, and each of the others is more accurate than all that are faster."
)
STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .7em;text-align:right;"
    "border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}img{max-width:100%}"
)


def write(plan):
    """Writes `report.md`, `report.html` and the tables they are computed from; returns the page."""
    blocks = content(tables.of(plan))
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


def content(told):
    """The parts of the report, in order: ("heading" | "text" | "table" | "picture", ...)."""
    grid, rows = told.grid, summary.rows(told)
    blocks = [("heading", 1, grid.title), ("text", _state(told))]
    note = NOTE.format(reference=grid.reference)
    note += CHOICE * any(row.arms[1:] for row in rows) + TIMED * grid.timed
    note += NOISY * any(row.by_noisy for row in rows)
    blocks.append(("text", note))
    if grid.axis:
        for group in _groups(rows, lambda row: (row.setting.dataset, row.setting.network)):
            name = f"{group[0].setting.network} on {group[0].setting.dataset} by {grid.axis}"
            blocks.append(("picture", name, pictures.over_axis(group, grid.axis)))
    for group in _groups(rows, lambda row: row.setting.label):
        label = group[0].setting.label
        blocks.append(("heading", 2, label))
        blocks.append(("table", *table(group, told)))
        if grid.timed:
            frontier = pictures.frontier(told, group)
            blocks.append(("picture", f"{label} by seconds", frontier))
        blocks.append(("picture", f"{label} by epoch", pictures.learning_curves(told, group)))
        blocks.append(("picture", f"{label} by choice", pictures.sensitivity(group)))
    header, lines = _sources(told)
    if lines:
        blocks += [("heading", 2, "Where the results are from"), ("table", header, lines)]
    return [block for block in blocks if block[-1] is not None]


def _groups(rows, key):
    groups = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups.values()


def _state(told):
    left = told.left()
    if not left:
        return f"All {len(told.runs)} runs are finished."
    return (
        f"Incomplete: {len(left)} of {len(told.runs)} runs are missing, and what is below is not "
        "the last word. `runs` says how many of each row are finished; these count."
    )


def table(rows, told):
    """Header and lines of a setting's table, as strings, without columns that nothing fills."""
    grid = told.grid
    header = [
        "method",
        "chosen",
        "test accuracy",
        "best",
        "by noisy labels",
        "paper",
        "difference",
        f"over {grid.reference}",
        "could show",
        "train loss",
        "seconds",
        "runs",
    ]
    reference = next((row for row in rows if row.method.label == grid.reference), None)
    lines = [_line(row, reference, told) for row in rows]
    filled = [i for i in range(len(header)) if any(line[i] for line in lines)]
    return [header[i] for i in filled], [[line[i] for i in filled] for line in lines]


def _line(row, reference, told):
    grid, arm, label = told.grid, row.chosen, row.method.label
    paper = grid.paper.get((row.setting.label, label))
    chosen = _choice(arm) if arm.results else ""
    line = [label, chosen, "missing", "", "", spread(*paper) if paper else "", *[""] * 5]
    if row.by_noisy:
        line[4] = " ".join([_choice(row.by_noisy), spread(*_percent(row.by_noisy))])
    if arm.results:
        mean, std = _percent(arm)
        line[2] = spread(mean, std)
        line[3] = f"{summary.mean_std(arm.percent('best_test_accuracy').values())[0]:.2f}"
        line[6] = f"{mean - paper[0]:+.2f}" if paper else ""
        line[9] = f"{summary.mean_std(arm.values('train_loss').values())[0]:.4f}"
        if reference and row is not reference:
            line[7:9] = _over(summary.difference(arm, reference.chosen))
        if grid.timed:
            line[10] = f"{summary.seconds(told, arm):.1f}"
    return [*line, f"{row.finished} of {row.planned}"]


def _choice(arm):
    return ", ".join(f"{k}={v}" for k, v in arm.choice.items())


def _percent(arm):
    return summary.mean_std(arm.percent().values())


def _sources(told):
    """Header and lines of a table of what the finished runs note of themselves."""
    lines = {}
    for noted in filter(None, map(told.source, told.runs)):
        lines[tuple(noted.items())] = lines.get(tuple(noted.items()), 0) + 1
    header = list(dict.fromkeys(name for line in lines for name, _ in line))
    rows = [[*(str(dict(line).get(n, "")) for n in header), str(n)] for line, n in lines.items()]
    return [*header, "runs"], rows


def _over(found):
    """A difference with its interval, and what it would have taken to be shown."""
    if found is None:
        return "", ""
    if found.low is None:
        return f"{found.mean:+.2f}", ""
    return f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]", f"{found.detectable:.2f}"


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
