#!/usr/bin/env python3
"""Writes the tables of out/study/results.json, or of the file that is named, into docs/results.md, between its marks."""
import json
import pathlib
import sys

root = pathlib.Path(__file__).resolve().parent.parent
result = json.loads(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else root / "out" / "study" / "results.json").read_text())
page = root / "docs" / "results.md"


def number(spread, digits=3):
    """Median, and the range over the seeds where there are several."""
    if spread is None:
        return ""
    median, least, greatest = spread["median"], spread["least"], spread["greatest"]
    return f"{median:.{digits}f}" if least == greatest else f"{median:.{digits}f} ({least:.{digits}f} to {greatest:.{digits}f})"


def table(problem):
    teacher = next(m for m in problem["methods"] if m["name"] == "teacher")
    many = next(r for r in teacher["rows"] if r["steps"] == 64)
    accuracies = many["class_accuracy"] is not None
    head = ["method", "steps", "sliced W2", "of the teacher's 64 steps", "energy", "of the teacher's", *(["class accuracy"] if accuracies else [])]
    lines = [f"| {' | '.join(head)} |", "|---|---:|" + "---:|" * (len(head) - 2)]
    for method in problem["methods"]:
        for row in method["rows"]:
            cells = [method["name"] if row is method["rows"][0] else "", str(row["steps"])]
            for name in ("sliced_wasserstein", "energy_distance"):
                ratio = "" if row[name] is None or many[name]["median"] == 0 else f"{row[name]['median'] / many[name]['median']:.2f}"
                cells += [number(row[name]), ratio]
            if accuracies:
                cells.append(f"{100 * row['class_accuracy']['median']:.1f} %")
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def costs(problem):
    lines = ["| method | network evaluations in training, millions of rows | seconds | straightness | diverged |", "|---|---:|---:|---:|---:|"]
    for m in problem["methods"]:
        lines.append(f"| {m['name']} | {m['training_evaluations'] / 1e6:.1f} | {number(m['seconds'], 0)} | {number(m['straightness'], 4)} | "
                     f"{m['diverged']} of {m['seeds']} |")  # fmt: skip
    return lines


text = page.read_text()
for problem in result["problems"]:
    name = problem["name"]
    floor = problem["floor"]
    lines = [f"{problem['n_generated']:,} samples against {problem['n_real']:,}; median of {problem['methods'][0]['seeds']} seeds and their range; "
             f"`{problem['network']}`, batches of {problem['batch']}. Two halves of the data lie {floor['sliced_wasserstein']:.4f} and "
             f"{floor['energy_distance']:.4f} apart.", "", *table(problem), "", *costs(problem)]  # fmt: skip
    before, rest = text.split(f"<!-- {name} -->")
    text = before + f"<!-- {name} -->\n" + "\n".join(lines) + f"\n<!-- {name} end -->" + rest.split(f"<!-- {name} end -->")[1]
text = text.split("<!-- time -->")[0] + f"<!-- time -->{result['seconds'] / 60:.0f} minutes<!-- time end -->" + text.split("<!-- time end -->")[1]
page.write_text(text)
