#!/usr/bin/env python3
"""What the benchmarks measured, for README.md beside this file: a picture and a table.

    tests/bench/wire.sh && cargo bench --bench speed -- plan/ && tests/bench/picture.py

Joins target/bench/wire.json and target/bench/growth.json into tests/bench/results.json, draws tests/bench/speed.svg (with matplotlib, a
package of PyPI), and writes the table into README.md. With --check it only says whether the README still tells what results.json holds.
"""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
MEASURED = ROOT / "target/bench"
RESULTS = ROOT / "tests/bench/results.json"
PICTURE = ROOT / "tests/bench/speed.svg"
README = ROOT / "tests/bench/README.md"
BEGIN, END = "<!-- speed: written by tests/bench/picture.py -->\n", "<!-- end of speed -->\n"

# What the table shows: enough to see the shape, not every size.
ROWS = [
    ("riskform --version", "/bin/true"),
    ("validate, one file", "/bin/true"),
    ("plan, 10 integrations", "curl, the same two GETs"),
    ("plan, 1000 integrations", "curl, the same two GETs"),
    ("drift, 1000 accounts, 0 ms", "wrk, 2000 GETs"),
    ("drift, 1000 accounts, 50 ms", "the ideal"),
    ("drift, 10000 accounts, 50 ms", "the ideal"),
    ("drift, 1000 accounts and tokens in 4 shards, merged", "the ideal"),
    ("apply, 100 creates, 0 ms", "curl, 100 POSTs on one connection"),
    ("apply, 100 creates, 50 ms", "the ideal"),
]
SIZES = [1_000, 10_000, 100_000]


def join():
    """The two runs as one."""
    wire = json.loads((MEASURED / "wire.json").read_text())
    growth = json.loads((MEASURED / "growth.json").read_text())
    plans = {name.removeprefix("plan: "): sizes for name, sizes in growth.items() if name.startswith("plan: ")}
    return {**wire, "plan": plans}


def table(results):
    """The table, as Markdown."""
    rows = {(row["what"], row["beside"]): row for row in results["rows"]}
    lines = ["| whole runs over loopback | riskform | beside it | | ratio | peak memory |", "| --- | ---: | --- | ---: | ---: | ---: |"]
    for what, beside in ROWS:
        if (row := rows.get((what, beside))) is None:
            continue
        ratio = row["seconds"] / row["beside_seconds"]
        lines.append(
            f"| {what} | {shown(row['seconds'])} | {beside} | {shown(row['beside_seconds'])} | {ratio:.2f} | {row['kib'] / 1024:.0f} MB |"
        )
    lines += ["", "| planning so many integrations | " + " | ".join(f"{size:,}" for size in SIZES) + " |", "| --- |" + " ---: |" * len(SIZES)]
    for name, sizes in results["plan"].items():
        lines.append(f"| {name} | " + " | ".join(shown(sizes[str(size)]) for size in SIZES) + " |")
    megabytes = results["binary_bytes"] / 1e6
    lines += ["", f"Medians on {results['cores']} cores; the program is {megabytes:.1f} MB. \"The ideal\" of drift is accounts / 32 at once × latency, of apply "
        "the reads and ten creates at a time × latency. The shards run in four processes beside each other and the simulated API."]
    return "\n".join(lines) + "\n"


def shown(seconds):
    """Three digits of a time."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"


def draw(results):
    """Two pictures side by side: a fleet on the wire, and one large account in memory."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "riskform", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10})
    from matplotlib import pyplot

    figure, (fleet, plan) = pyplot.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for latency, color in ((0, "#7a7a7a"), (20, "#2f6fb2"), (50, "#c2571a")):
        points = sorted(
            (int(row["what"].split()[1]), row["seconds"])
            for row in results["rows"]
            if row["group"] == "fleet" and row["what"].endswith(f" {latency} ms") and row["beside"] != "the ideal"
        )
        accounts = [count for count, _ in points]
        fleet.loglog(accounts, [seconds for _, seconds in points], "o-", color=color, label=f"{latency} ms latency")
        if latency:
            fleet.loglog(accounts, [count / 32 * latency / 1000 for count in accounts], "--", color=color, label="the ideal")
    label(fleet, "drift, 32 accounts at once", "accounts")
    for name, sizes in results["plan"].items():
        points = sorted((int(size), seconds) for size, seconds in sizes.items())
        plan.loglog([size for size, _ in points], [seconds for _, seconds in points], "o-", markersize=3, label=name)
    label(plan, "planning one account", "integrations")
    figure.savefig(PICTURE, metadata={"Date": None})


def label(axes, title, x):
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel("seconds")
    axes.grid(which="major", color="#dddddd")
    axes.legend(frameon=False, fontsize=9)


def main():
    readme = README.read_text()
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    check = sys.argv[1:] == ["--check"]
    results = json.loads(RESULTS.read_text()) if check else join()
    written = before + BEGIN + table(results) + END + after
    if check:
        sys.exit(None if written == readme else "tests/bench/README.md does not tell what tests/bench/results.json holds: run tests/bench/picture.py")
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    README.write_text(written)
    draw(results)


if __name__ == "__main__":
    main()
