#!/usr/bin/env python3
"""Writes the tables of out/samplers/results.json into docs/samplers.md, between their marks. Run it after build/release/examples/samplers."""
import json
import pathlib

root = pathlib.Path(__file__).resolve().parent.parent
page = root / "docs" / "samplers.md"
begin_mark, end_mark = "<!-- samplers -->", "<!-- samplers end -->"
result = json.loads((root / "out" / "samplers" / "results.json").read_text())
budgets = sorted({row["budget"] for row in result["rows"]})


def table(rows, value):
    lines = [f"| evaluations | {' | '.join(map(str, budgets))} |", "| --- |" + " ---: |" * len(budgets)]
    for name in dict.fromkeys(row["sampler"] for row in rows):
        found = {row["budget"]: row[value] for row in rows if row["sampler"] == name}
        lines.append(f"| {name} | {' | '.join(f'{found[b]:.2g}' if b in found else '' for b in budgets)} |")
    return lines


lines = ["Solvers of the ODE, mean distance to where the exact flow carries the same noise:", "", *table([row for row in result["rows"] if not row["stochastic"]], "flow_distance")]
lines += ["", "All of them, energy distance to true samples:", "", *table(result["rows"], "energy_distance")]
floor = f"{result['energy_distance_of_true_samples']:.2g}"
lines += ["", f"{result['points']:,} points, seed {result['seed']}, {result['process']} on {result['grid']}."]
lines += [f"Two sets of true samples of that size differ by {floor} in energy distance, so less than about that cannot be told from 0."]
before, rest = page.read_text().split(begin_mark)
page.write_text(before + begin_mark + "\n" + "\n".join(lines) + "\n" + end_mark + rest.split(end_mark)[1])
