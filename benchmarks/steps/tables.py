"""The benchmark's results as Markdown."""

import statistics

from keras_zsharp import rules

OURS = "keras3 {}".format
RULES = sorted({rule.__name__ for rule in rules.RULES.values()} - {"SAM"})
"""Ours beside SAM."""
QUARTER = "SAM(ascent_fraction=0.25)"
"""SAM whose clean pass takes a quarter of the batch."""
BACKENDS = {
    "graph": "TensorFlow, graph",
    "xla": "TensorFlow, XLA",
    "jax": "JAX",
    "pytorch": "PyTorch",
}
"""By mode."""


def all_of(results):
    """A line on versions and machine, the table of this library's steps, that of its peers."""
    measured = {tuple(name.split()): rows for name, rows in sorted(results["measured"].items())}
    versions = {}
    for rows in measured.values():
        for row in rows.values():
            versions.update(row["versions"])
    about = ", ".join(f"{library} {version}" for library, version in versions.items())
    counts = [len(row["seconds"]) for rows in measured.values() for row in rows.values()]
    rounds = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else max(counts)
    return "\n\n".join(
        (
            f"{about}; {results['machine']}; medians of {rounds} rounds.",
            _table(_OF_OURS, measured),
            _table(_OF_PEERS, measured),
        )
    )


def _table(columns, measured):
    """Rows by network and backend. Columns that are empty in all of them are left out."""
    rows = [[_cell(cell, rows) for cell in columns.values()] for rows in measured.values()]
    shown = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    header = ["network", "batch", "backend", *(list(columns)[i] for i in shown)]
    lines = ["| " + " | ".join(header) + " |", "| --- | ---: | --- |" + " ---: |" * len(shown)]
    for (network, batch, mode), row in zip(measured, rows, strict=True):
        cells = [f"`{network}`", batch, BACKENDS[mode], *(row[i] for i in shown)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(cell, rows):
    try:
        return cell(rows)
    except KeyError:  # a library that was not installed, or does not run in this mode
        return ""


def _ratio(slow, fast):
    """The median over the rounds of how many times as long `slow` takes as `fast`."""

    def cell(rows):
        pairs = zip(rows[slow]["seconds"], rows[fast]["seconds"], strict=True)
        return f"{statistics.median(s / f for s, f in pairs):.2f}"

    return cell


def _step(name):
    return lambda rows: f"{1e3 * statistics.median(rows[name]['seconds']):,.0f}"


def _compilation(rows, name):
    """Seconds of the first step beyond those of a later one."""
    return rows[name]["first"] - statistics.median(rows[name]["seconds"])


def _seconds_to_compile(name):
    return lambda rows: f"{_compilation(rows, name):.1f}"


def _compile_ratio(slow, fast):
    return lambda rows: f"{_compilation(rows, slow) / _compilation(rows, fast):.2f}"


def _peak(rows, name):
    if None in rows[name]["peaks"]:
        raise KeyError("the system does not tell peaks")
    return statistics.median(rows[name]["peaks"])


def _megabytes(name):
    return lambda rows: f"{_peak(rows, name) / 2**20:,.0f}"


def _copies(name):
    """Peak memory beyond AdamW's, in copies of the trainable weights."""

    def cell(rows):
        plain = OURS("AdamW")
        return f"{(_peak(rows, name) - _peak(rows, plain)) / rows[plain]['weights']:.1f}"

    return cell


_OF_OURS = {
    "AdamW (ms)": _step(OURS("AdamW")),
    "SAM / AdamW": _ratio(OURS("SAM"), OURS("AdamW")),
    **{f"{rule} / SAM": _ratio(OURS(rule), OURS("SAM")) for rule in (QUARTER, *RULES)},
    "AdamW compiles (s)": _seconds_to_compile(OURS("AdamW")),
    "SAM compiles (s)": _seconds_to_compile(OURS("SAM")),
    "ZSharp / SAM to compile": _compile_ratio(OURS("ZSharp"), OURS("SAM")),
    "AdamW (MiB)": _megabytes(OURS("AdamW")),
    "SAM + copies": _copies(OURS("SAM")),
    "ZSharp + copies": _copies(OURS("ZSharp")),
}
_OF_PEERS = {
    "SAM (ms)": _step(OURS("SAM")),
    "without oneDNN / with": _ratio("keras3_without_onednn SAM", OURS("SAM")),
    "Keras 2 SAM / ours": _ratio("keras2 SAM", OURS("SAM")),
    "SAM by hand / ours": _ratio("by_hand SAM", OURS("SAM")),
    "PyTorch SAM / ours": _ratio("pytorch SAM", OURS("SAM")),
    "PyTorch FriendlySAM / ours": _ratio("pytorch FriendlySAM", OURS("FriendlySAM")),
    "PyTorch ZSharp / ours": _ratio("pytorch ZSharp", OURS("ZSharp")),
    "PyTorch ZSharp / PyTorch SAM": _ratio("pytorch ZSharp", "pytorch SAM"),
}
