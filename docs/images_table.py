#!/usr/bin/env python3
"""Writes the tables of the image example's results into docs/results.md, between its marks. Takes the folders that --out named; of lines that
repeat a method, data and number of steps the last counts."""
import json
import pathlib
import sys

page = pathlib.Path(__file__).resolve().parent / "results.md"
titles = {"teacher": "flow matching (the teacher)", "reflow": "reflow", "distilled": "reflow, distilled", "cd": "CD", "ect": "ECT", "scd": "sCD", "sct": "sCT",
          "shortcut": "shortcut", "shortcut_tuned": "shortcut, tuned", "mean_flow": "mean flow", "mean_flow_tuned": "mean flow, tuned"}  # fmt: skip


def duration(seconds):
    return f"{seconds / 60:.0f} min"


def table(lines):
    by_key = {(line["method"], line["steps"]): line for line in lines}
    teacher = by_key["teacher", 64]
    held_out = teacher["held_out"]
    out = ["| method | steps | Fréchet distance | precision | recall | as labelled | training | of it its own | sampling, an image |", "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
           f"| held-out images | | {held_out['frechet']:.2f} | {held_out['precision']:.3f} | {held_out['recall']:.3f} | {100 * held_out['accuracy']:.1f} % | | | |"]  # fmt: skip
    last = None
    for method in titles:
        for (name, steps), line in sorted(by_key.items()):
            if name != method:
                continue
            own, before = line["training_seconds"], line["seconds_before"]
            costs = [duration(own + before), duration(own)] if name != last else ["", ""]
            cells = [titles[method] if name != last else "", str(steps), f"{line['frechet']:.2f}", f"{line['precision']:.3f}", f"{line['recall']:.3f}",
                     f"{100 * line['accuracy']:.1f} %", *costs, f"{1000 * line['sampling_seconds']:.1f} ms"]  # fmt: skip
            out.append(f"| {' | '.join(cells)} |")
            last = name
    steps = {line["method"]: line["training_steps"] for line in lines}
    return [f"{teacher['generated']:,} generated images; width {teacher['width']}, batches of {teacher['batch']}, {steps['teacher']:,} steps for the teacher, "
            f"{', '.join(f'{s:,}' for s in sorted({s for m, s in steps.items() if m != 'teacher'}))} for what starts from it.", "", *out]  # fmt: skip


text = page.read_text()
for folder in sys.argv[1:]:
    lines = [json.loads(line) for line in (pathlib.Path(folder) / "results.json").read_text().splitlines()]
    mark = f"<!-- images {lines[0]['data'].removesuffix('10k')} -->"
    before, rest = text.split(mark)
    end = mark.replace(" -->", " end -->")
    text = before + mark + "\n" + "\n".join(table(lines)) + f"\n{end}" + rest.split(end)[1]
page.write_text(text)
