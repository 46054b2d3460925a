#!/usr/bin/env python3
"""Writes the table of out/digits/results.json into README.md and docs/digits.md, between their marks. Run it after ./run."""
import json
import pathlib

root = pathlib.Path(__file__).resolve().parent.parent
result = json.loads((root / "out" / "digits" / "results.json").read_text())
lines = ["| method | steps (network evaluations) | sliced W2 | energy | class accuracy |", "|---|---:|---:|---:|---:|"]
for row in result["rows"]:
    accuracy = "" if row["class_accuracy"] is None else f"{100 * row['class_accuracy']:.1f} %"
    lines.append(f"| {row['method']} | {row['steps']} | {row['sliced_wasserstein']:.4f} | {row['energy_distance']:.4f} | {accuracy} |")
floor = result["floor"]
lines.append(f"| two halves of the real digits | | {floor['sliced_wasserstein']:.4f} | {floor['energy_distance']:.4f} | |")
lines += ["", f"{result['n_generated']:,} generated digits against {result['n_real']:,} real ones; seed {result['seed']}; the whole run took {result['seconds']:.0f} s. "
          "`./run && python3 docs/digits_table.py` makes this table anew."]  # fmt: skip
for name in ("README.md", "docs/digits.md"):
    page = root / name
    before, rest = page.read_text().split("<!-- digits -->")
    page.write_text(before + "<!-- digits -->\n" + "\n".join(lines) + "\n<!-- digits end -->" + rest.split("<!-- digits end -->")[1])
