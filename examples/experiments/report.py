"""The report on a grid, as Markdown with pictures beside it and as one file of HTML."""

import base64
import json
import pathlib

import jinja2
import markdown_it
import pandas as pd

from experiments import files, pictures, results, tables
from experiments.grid import slug
from experiments.results import chosen, mean_std, percent, spread

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent / "templates"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)
TEMPLATES.filters["slug"] = slug
BEFORE = ("method", "chosen", "test accuracy", "best", "by noisy labels", "paper", "difference")
AFTER = ("could show", "train loss", "seconds", "runs")


def write(plan):
    """Writes `report.md`, `report.html` and the tables they are computed from; returns the page."""
    text, drawn = markdown(tables.of(plan))
    folder = plan.output / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    page = plan.output / "report.html"
    written = {folder / f"{slug(name)}.png": picture for name, picture in drawn.items()}
    written[plan.output / "report.md"] = text.encode()
    written[page] = as_html(plan.grid.title, text, drawn).encode()
    for path, content in written.items():
        with files.whole(path) as partial:
            partial.write_bytes(content)
    return page


def markdown(told):
    """The report's text, and its pictures by their names, as PNG."""
    grid, runs = told.grid, told.runs
    overview = {}
    if grid.axis:
        for network, its in runs.groupby("network", sort=False):
            overview[f"{network} by {grid.axis}"] = pictures.over_axis(its, grid.axis)
    sections = [section(told, its) for _, its in runs.groupby("setting", sort=False)]
    text = TEMPLATES.get_template("report.md").render(
        grid=grid,
        runs=runs["wanted"].sum(),
        left=len(results.left(runs)),
        chosen=(runs["choice"] != runs["chosen"]).any(),
        chosen_by_noisy=runs["by_noisy"].notna().any(),
        overview=overview,
        sections=sections,
        sources=sources(runs),
    )
    drawn = [overview, *(section["pictures"] for section in sections)]
    return text, {name: png for pngs in drawn for name, png in pngs.items() if png}


def section(told, runs):
    """What the template has for a setting; its table is None where no run is finished."""
    label = runs["setting"].iloc[0]
    if not runs["finished"].any():
        return {"label": label, "table": None, "pictures": {}}
    timed = told.grid.timed
    return {
        "label": label,
        "table": table(told, runs),
        "comparisons": comparisons(told.grid, runs),
        "pictures": {
            f"{label} by seconds": pictures.frontier(runs, told.epochs) if timed else None,
            f"{label} by epoch": pictures.learning_curves(runs, told.epochs),
            f"{label} by choice": pictures.sensitivity(runs),
        },
    }


def as_html(title, text, drawn):
    """The same as a page that needs no other file."""
    page = markdown_it.MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    for name, png in drawn.items():
        data = base64.b64encode(png).decode()
        page = page.replace(f"pictures/{slug(name)}.png", f"data:image/png;base64,{data}")
    return TEMPLATES.get_template("report.html").render(title=title, page=page)


def table(told, runs):
    """A setting's table, as a data frame of strings, without columns that nothing fills."""
    lines = [_line(told, runs, its) for _, its in runs.groupby("method", sort=False)]
    columns = [*BEFORE, f"over {told.grid.reference}", *AFTER]
    frame = pd.DataFrame(lines, columns=columns, dtype=object).fillna("")
    return frame.loc[:, (frame != "").any()]


def _line(told, runs, its):
    """The cells of a method in a setting, by column, without those that have nothing to say."""
    method, setting, grid = its["method"].iloc[0], its["setting"].iloc[0], told.grid
    line = {"method": method, "runs": f"{its['finished'].sum()} of {its['wanted'].sum()}"}
    if paper := grid.paper.get((setting, method)):
        line["paper"] = spread(*paper)
    if len(by_noisy := chosen(its, "by_noisy")):
        accuracy = spread(*mean_std(percent(by_noisy)))
        line["by noisy labels"] = f"{by_noisy['choice'].iloc[0]} {accuracy}".strip()
    done = chosen(its)
    if done.empty:
        return {**line, "test accuracy": "missing"}
    mean, std = mean_std(percent(done))
    line["chosen"] = done["choice"].iloc[0]
    line["test accuracy"] = spread(mean, std)
    line["best"] = f"{mean_std(percent(done, 'best_test_accuracy'))[0]:.2f}"
    line["train loss"] = f"{mean_std(done['train_loss'])[0]:.4f}"
    if paper:
        line["difference"] = f"{mean - paper[0]:+.2f}"
    if method != grid.reference:
        reference = chosen(runs[runs["method"] == grid.reference])
        found = results.difference(percent(done), percent(reference))
        line[f"over {grid.reference}"], line["could show"] = found
    if grid.timed:
        line["seconds"] = f"{results.seconds(told.epochs, done):.1f}"
    return line


def comparisons(grid, runs):
    """A table of the differences that the grid asks for; it may be empty."""
    done = chosen(runs)
    lines = []
    for pair in grid.comparisons:
        mine, its = (percent(done[done["method"] == method]) for method in pair)
        lines.append([*pair, *results.difference(mine, its)])
    table = pd.DataFrame(lines, columns=["method", "over", "by", "could show"])
    return table[table["by"] != ""]


def sources(runs):
    """What the finished runs note of themselves, as a data frame, with how many note the same."""
    done = runs[runs["finished"]]
    noted = pd.DataFrame(
        {**json.loads(run.versions), **json.loads(run.provenance)} for run in done.itertuples()
    )
    noted = noted.astype(object).where(noted.notna(), "").map(str)
    if noted.empty:
        return noted
    return noted.groupby(list(noted), sort=False).size().astype(str).rename("runs").reset_index()
