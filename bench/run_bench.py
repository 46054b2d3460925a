#!/usr/bin/env python3
"""Measures onestep, and with --peers PyTorch and diffusers beside it: the same work on the same cores, in turn. docs/benchmarks.md says how and why.

    bench/run_bench.py [--peers] [--only NAME] [--without SIDE] [--threads 2] [--rounds 15] [--server PATH]
"""
import argparse
import fnmatch
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

root = pathlib.Path(__file__).resolve().parent.parent
peers = root / "bench" / "peers"
environment = root / "build" / "peers-venv"
page, results = root / "docs" / "benchmarks.md", root / "out" / "bench" / "results.json"
begin_mark, end_mark = "<!-- begin: {} by bench/run_bench.py -->", "<!-- end: {} by bench/run_bench.py -->"
busy = "\\* other programs were busy during this measurement."
turn = 0.2  # seconds one side works before the next does
quiet = 0.06  # of the cores in use, the share that other programs may have taken during a counted round
# What a training step's gradient takes at least, in evaluations of the network: backward counts as two, a derivative along a path as one.
costs = "objective_costs"
unit = "network_forward"
minima = {
    "accumulate_flow_matching": 3,
    "accumulate_consistency_training": 4,
    "accumulate_consistency_distillation": 6,
    "accumulate_continuous_consistency_training": 4,
    "accumulate_continuous_consistency_distillation": 5,
    "accumulate_continuous_consistency_by_differences": 5,
    "accumulate_shortcut_training": 3.5,
    "accumulate_mean_flow": 3.25,
    "accumulate_mean_flow_every_row": 4,
    "accumulate_progressive_distillation": 5,
}
memory = "unet_train_memory"  # mebibytes instead of seconds
unet_peers = ["U-Net eager", "U-Net contiguous", "U-Net compile"]
# glibc's default returns every large block to the kernel at once, and PyTorch then spends more time in page faults than in arithmetic.
allocator = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 34), "MALLOC_TOP_PAD_": str(1 << 28)}


def install_peers():
    """Creates build/peers-venv with the pinned versions; does nothing where that stands already."""
    wanted = (peers / "requirements.txt").read_text()
    stamp = environment / "requirements.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("installing the PyTorch wheel into build/peers-venv (about 2 GB to download)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
    pip = [environment / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "-r", peers / "requirements.txt"], check=True)
    stamp.write_text(wanted)


class Side:
    """One program that works on request: a line in, a line of JSON out; between requests it blocks in read."""

    def __init__(self, title, command, threads):
        cores = sorted(os.sched_getaffinity(0))[:threads]
        variables = {**os.environ, **allocator, "OMP_NUM_THREADS": str(threads), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        variables["TORCHINDUCTOR_CACHE_DIR"] = str(root / "build" / "peers-cache")
        for crippling in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
            variables.pop(crippling, None)
        self.title, self.log = title, tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=variables,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        if self.ask(f"threads {threads}")["threads"] != threads:
            sys.exit(f"{title}: will not run {threads} threads")
        self.about = self.ask("list")

    def ask(self, request):
        try:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
            reply = self.process.stdout.readline()
        except BrokenPipeError:
            reply = ""
        if not reply:
            self.log.seek(0)
            sys.exit(f"{self.title}: ended at '{request}'\n{self.log.read()[-2000:]}")
        return json.loads(reply)

    def seconds(self, name, runs):
        reply = self.ask(f"{name} {runs}")
        if "error" in reply:
            sys.exit(f"{self.title}: {name}: {reply['error']}")
        return statistics.median(reply["seconds"])

    def mebibytes(self, runs):
        """What training takes at most, of several fresh processes."""
        reply = self.ask(f"{memory} {runs}")
        if "error" in reply:
            sys.exit(f"{self.title}: {memory}: {reply['error']}")
        return statistics.median(reply["mebibytes"])

    def used(self):
        """Processor seconds this program has used, all threads."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def machine_used():
    """Processor seconds the whole machine has used."""
    user, nice, system, _, _, interrupt, soft, steal = map(int, open("/proc/stat").readline().split()[1:9])
    return (user + nice + system + interrupt + soft + steal) / os.sysconf("SC_CLK_TCK")


def measure(works, rounds, threads):
    """Seconds of each (side, name) in turn, a row a round, of the rounds in which the machine was quiet, and whether there were enough of them."""
    sides = list(dict.fromkeys(side for side, _ in works))
    runs = [max(1, min(2000, round(turn / side.seconds(name, 3)))) for side, name in works]
    counted, disturbed = [], []
    while len(counted) < rounds and len(counted) + len(disturbed) < 3 * rounds:
        others = machine_used() - sum(side.used() for side in sides)
        start, row = time.perf_counter(), []
        for (side, name), count in zip(works, runs):
            row.append(side.seconds(name, count))
            time.sleep(0.01)  # an OpenMP pool spins for a few milliseconds after its work: let it fall asleep
        others = machine_used() - sum(side.used() for side in sides) - others
        calm = others < quiet * threads * (time.perf_counter() - start)
        (counted if calm else disturbed).append(row)
    enough = len(counted) >= min(rounds, 5)
    return counted if enough else counted + disturbed, enough


def measure_costs(ours, rounds, threads):
    """The gradients of all objectives over one evaluation of the network, medians of each round's quotients."""
    names = [unit, *minima]
    table, calm = measure([(ours, name) for name in names], rounds, threads)
    flow = names.index("accumulate_flow_matching")
    lines = ["| objective | evaluations | at least | over flow matching | at least |", "| --- |" + " ---: |" * 4]
    for k, name in enumerate(names[1:], 1):
        cost, ratio = statistics.median(row[k] / row[0] for row in table), statistics.median(row[k] / row[flow] for row in table)
        title = name.removeprefix("accumulate_") + ("" if calm else " *")
        lines.append(f"| {title} | {cost:.2f} | {minima[name]:g} | {ratio:.2f} | {minima[name] / 3:.2f} |")
    milliseconds = 1e3 * statistics.median(row[0] for row in table)
    return [f"{processor()}, {threads} threads; one evaluation takes {milliseconds:.3g} ms.", "", *lines, *([] if calm else ["", busy])]


def compare_losses(name, ours, others):
    """Where our side can export a network and a batch: the same first losses on every side, or the comparison is worth nothing."""
    with tempfile.TemporaryDirectory() as folder:
        reply = ours.ask(f"export {name} {folder}")
        if "error" in reply:
            return
        for side in others:
            theirs = side.ask(f"losses {name} {folder}")
            if "error" in theirs:
                sys.exit(f"{side.title}: {name}: {theirs['error']}")
            pairs = list(zip(reply["losses"], theirs["losses"], strict=True))
            bounds = [1e-5] + [1e-3] * (len(pairs) - 1)  # rounding grows from step to step
            if any(not abs(a - b) <= bound * abs(a) for (a, b), bound in zip(pairs, bounds)):
                sys.exit(f"{name}: the sides do not do the same work; losses of onestep and {side.title}: {pairs}")
    print(f"{name}: the same losses on every side", flush=True)


def processor():
    lines = open("/proc/cpuinfo").read().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def table(entries, titles):
    """Rows of the works that these peers did, or some of them; a column for each and one for each ratio."""
    lines = [f"| work | onestep | {' | '.join(titles)} | {' | '.join(f'{title} / onestep' for title in titles)} |"]
    lines += ["| --- |" + " ---: |" * (1 + 2 * len(titles))]
    for name in dict.fromkeys(entry["name"] for entry in entries):
        rows = {entry["peer"]: entry for entry in entries if entry["name"] == name}
        if not set(rows) <= set(titles):
            continue
        ours = next(iter(rows.values()))
        show = (lambda value: f"{value:.0f} MiB") if name == memory else (lambda value: f"{1e3 * value:.3g} ms")
        columns = [show(ours["ours"])] + [show(rows[title]["theirs"]) if title in rows else "" for title in titles]
        columns += [f"{rows[title]['ratio']:.2f}" if title in rows else "" for title in titles]
        lines.append(f"| {name}{'' if ours['quiet'] else ' *'} | {' | '.join(columns)} |")
    return lines


def write_between_marks(what, lines):
    begin, end = begin_mark.format(what), end_mark.format(what)
    before, rest = page.read_text().split(begin)
    page.write_text(before + begin + "\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1])


def write_page(entries, known, threads):
    """Rewrites the tables whose rows have all been measured: that of U-Nets for this number of threads, and those of everything else."""
    measured = {entry["name"] for entry in entries}
    for mark, of_unets, columns in (("table", False, [["torch eager", "torch compile"], ["diffusers"]]), (f"unet_{threads}", True, [unet_peers])):
        if not {name for name in known if name.startswith("unet") == of_unets} <= measured | {costs}:
            continue
        rows = [entry for entry in entries if entry["name"].startswith("unet") == of_unets]
        builds = "; ".join(dict.fromkeys(build for entry in rows for build in (entry["ours_build"], entry["peer_build"])))
        lines = [f"{processor()}, {threads} thread{'s' if threads > 1 else ''}. {builds}."]
        for titles in columns:
            lines += ["", *table(rows, titles)]
        if not all(entry["quiet"] for entry in rows):
            lines += ["", busy]
        write_between_marks(mark, lines)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--peers", action="store_true", help="measure PyTorch and diffusers too (installs their wheels into build/peers-venv)")
    options.add_argument("--only", metavar="NAME", help="measure this work alone, or those that a pattern like 'toy_*' fits; tables of docs/benchmarks.md that lack a row then stay as they are")
    options.add_argument("--without", metavar="SIDE", action="append", default=[], help="leave this side out, 'U-Net compile' say: compilation takes minutes a row")
    options.add_argument("--threads", type=int, default=min(2, len(os.sched_getaffinity(0))))
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--server", type=pathlib.Path, help="the onestep_peer_server to measure")
    given = options.parse_args()

    server = given.server or next((root / "build").glob("bench/**/onestep_peer_server"), None)
    if server is None or not server.exists():
        sys.exit("run_bench.py: no onestep_peer_server in build/bench; build it first with ./run bench")
    commands = {"onestep": [server]}
    if given.peers:
        install_peers()
        for mode in ("eager", "compile"):
            commands[f"torch {mode}"] = [environment / "bin" / "python", peers / "torch_peer.py", mode]
        for title in unet_peers:
            commands[title] = [environment / "bin" / "python", peers / "torch_unet.py", title.split()[1]]
        commands["diffusers"] = [environment / "bin" / "python", peers / "diffusers_peer.py"]
    sides = [Side(title, command, given.threads) for title, command in commands.items() if title not in given.without]
    ours = sides[0]

    alone = [name for name in ours.about["names"] if name not in (unit, *minima)]
    known = [name for name in alone if not given.peers or any(name in side.about["names"] for side in sides[1:])] + [costs]
    names = [name for name in known if fnmatch.fnmatchcase(name, given.only or "*")]
    if not names:
        sys.exit(f"run_bench.py: --only is {given.only}, this bench knows {', '.join(known)}")
    entries = []
    if costs in names:
        names.remove(costs)
        lines = measure_costs(ours, given.rounds, given.threads)
        print("\n".join(lines), flush=True)
        if given.peers and given.only is None:
            write_between_marks(costs, lines)
    for name in names:
        others = [side for side in sides[1:] if name in side.about["names"]]
        at_work = [ours, *others]
        if name == memory:
            medians, rounds, calm = [side.mebibytes(3) for side in at_work], 3, True
        else:
            compare_losses(name, ours, others)
            rows, calm = measure([(side, name) for side in at_work], given.rounds, given.threads)
            medians, rounds = [statistics.median(column) for column in zip(*rows)], len(rows)
        show = (lambda value: f"{value:.0f} MiB") if name == memory else (lambda value: f"{1e3 * value:.4g} ms")
        text = [f"{side.title} {show(value)}" for side, value in zip(at_work, medians)]
        text += [f"{value / medians[0]:.2f}x" for value in medians[1:]]
        print(f"{name}: {', '.join(text)}{'' if calm else ' (the machine was busy)'}", flush=True)
        kind = "mebibytes" if name == memory else "seconds"
        for side, value in zip(others, medians[1:]):
            entries.append({
                "name": name, "threads": given.threads, f"ours_{kind}": medians[0], "peer": side.title, f"peer_{kind}": value,
                "ours": medians[0], "theirs": value, "ratio": value / medians[0], "rounds": rounds, "quiet": calm,
                "ours_build": ours.about["build"], "peer_build": side.about["build"],
            })  # fmt: skip
    if entries:
        results.parent.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(entries, indent=1) + "\n")
        if given.peers:
            write_page(entries, known, given.threads)
    for side in sides:
        side.close()


if __name__ == "__main__":
    main()
