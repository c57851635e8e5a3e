"""The report on a grid, as Markdown with pictures beside it and as one file of HTML."""

import base64
import pathlib

import jinja2
import markdown_it
import pandas as pd

from experiments import files, pictures, summary, tables
from experiments.grid import grouped, slug

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent / "templates"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)
TEMPLATES.filters["slug"] = slug
COLUMNS = (
    "method",
    "chosen",
    "test accuracy",
    "best",
    "by noisy labels",
    "paper",
    "difference",
    "over",
    "could show",
    "train loss",
    "seconds",
    "runs",
)


def write(plan):
    """Writes `report.md`, `report.html` and the tables they are computed from; returns the page."""
    drawn = {}
    text = markdown(tables.of(plan), drawn)
    folder = plan.output / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in drawn.items():
        _write(folder / f"{slug(name)}.png", picture)
    _write(plan.output / "report.md", text.encode())
    path = plan.output / "report.html"
    _write(path, as_html(plan.grid.title, text, drawn).encode())
    return path


def _write(path, content):
    with files.whole(path) as partial:
        partial.write_bytes(content)


def markdown(told, drawn):
    """The report's text; its pictures, as bytes, come to be in `drawn` by their names."""
    grid, rows = told.grid, summary.rows(told)
    overview = {}
    if grid.axis:
        networks = grouped(rows, lambda row: (row.setting.dataset, row.setting.network))
        for group in networks.values():
            name = f"{group[0].setting.network} on {group[0].setting.dataset} by {grid.axis}"
            overview[name] = pictures.over_axis(group, grid.axis)
    sections = [section(told, group) for group in by_setting(rows)]
    for pngs in (overview, *(section["pictures"] for section in sections)):
        drawn.update({name: png for name, png in pngs.items() if png})
    return TEMPLATES.get_template("report.md").render(
        grid=grid,
        runs=sum(row.planned for row in rows),
        left=len(told.left()),
        chosen=any(row.arms[1:] for row in rows),
        chosen_by_noisy=any(row.by_noisy for row in rows),
        overview=overview,
        sections=sections,
        sources=sources(told),
    )


def section(told, rows):
    """What the template has for a setting; its table is None where no run is finished."""
    label = rows[0].setting.label
    if not any(row.finished for row in rows):
        return {"label": label, "table": None, "pictures": {}}
    return {
        "label": label,
        "table": table(rows, told),
        "comparisons": comparisons(rows, told.grid),
        "pictures": {
            f"{label} by seconds": pictures.frontier(told, rows) if told.grid.timed else None,
            f"{label} by epoch": pictures.learning_curves(told, rows),
            f"{label} by choice": pictures.sensitivity(rows),
        },
    }


def as_html(title, text, drawn):
    """The same as a page that needs no other file."""
    page = markdown_it.MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    for name, png in drawn.items():
        data = base64.b64encode(png).decode()
        page = page.replace(f"pictures/{slug(name)}.png", f"data:image/png;base64,{data}")
    return TEMPLATES.get_template("report.html").render(title=title, page=page)


def by_setting(rows):
    """The rows of each setting, as lists."""
    return grouped(rows, lambda row: row.setting.label).values()


def table(rows, told):
    """A setting's table, as a data frame of strings, without columns that nothing fills."""
    reference = next((row for row in rows if row.method.label == told.grid.reference), None)
    lines = [dict.fromkeys(COLUMNS, "") | _line(row, reference, told) for row in rows]
    frame = pd.DataFrame(lines)
    frame = frame.loc[:, (frame != "").any()]
    return frame.rename(columns={"over": f"over {told.grid.reference}"})


def _line(row, reference, told):
    """A row's cells, by column, without those that have nothing to say."""
    arm = row.chosen
    line = {"method": row.method.label, "runs": f"{row.finished} of {row.planned}"}
    if paper := told.grid.paper.get((row.setting.label, row.method.label)):
        line["paper"] = spread(*paper)
    if row.by_noisy:
        parts = _choice(row.by_noisy), spread(*_percent(row.by_noisy))
        line["by noisy labels"] = " ".join(filter(None, parts))
    if not arm.results:
        return {**line, "test accuracy": "missing"}
    mean, std = _percent(arm)
    line["chosen"] = _choice(arm)
    line["test accuracy"] = spread(mean, std)
    line["best"] = f"{_percent(arm, 'best_test_accuracy')[0]:.2f}"
    line["train loss"] = f"{summary.mean_std(arm.values('train_loss').values())[0]:.4f}"
    if paper:
        line["difference"] = f"{mean - paper[0]:+.2f}"
    if reference and row is not reference:
        line["over"], line["could show"] = over(summary.difference(arm, reference.chosen))
    if told.grid.timed:
        line["seconds"] = f"{summary.seconds(told, arm):.1f}"
    return line


def comparisons(rows, grid):
    """A table of the differences that the grid asks for, as `table` gives one; may be empty."""
    arms = {row.method.label: row.chosen for row in rows}
    lines = []
    for first, second in grid.comparisons:
        found = first in arms and second in arms and summary.difference(arms[first], arms[second])
        if found:
            by, could_show = over(found)
            lines.append({"method": first, "over": second, "by": by, "could show": could_show})
    return pd.DataFrame(lines)


def _choice(arm):
    return ", ".join(f"{name}={value}" for name, value in arm.choice.items())


def _percent(arm, key="test_accuracy"):
    return summary.mean_std(arm.percent(key).values())


def over(found):
    """A difference with its interval, and what it would have taken to be shown."""
    if found is None:
        return "", ""
    if found.low is None:
        return f"{found.mean:+.2f}", ""
    return f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]", f"{found.detectable:.2f}"


def spread(mean, std):
    return f"{mean:.2f}" if std is None else f"{mean:.2f} ± {std:.2f}"


def sources(told):
    """What the finished runs note of themselves, as a data frame, with how many note the same."""
    noted = pd.DataFrame([found for run in told.runs if (found := told.source(run))])
    noted = noted.astype(object).where(noted.notna(), "").map(str)
    if noted.empty:
        return noted
    return noted.groupby(list(noted), sort=False).size().astype(str).rename("runs").reset_index()
