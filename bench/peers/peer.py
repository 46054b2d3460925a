"""What every Python peer does: reads one request a line and answers with one line of JSON (docs/benchmarks.md)."""
import json
import sys
import time

import torch


class Peer:
    """Works by name; one exists at a time. A work has `step`, and may have `prepare`, which is called before each step and not timed."""

    def __init__(self, build, works):
        self.build, self.works, self.name, self.work = build, works, None, None

    def forget(self):
        self.name = self.work = None

    def choose(self, name):
        if self.name == name:
            return
        self.forget()
        torch._dynamo.reset()
        self.work = self.works[name]()
        self.name = name
        for _ in range(3):
            self.run()

    def run(self):
        """Seconds of one step."""
        if hasattr(self.work, "prepare"):
            self.work.prepare()
        begin = time.perf_counter()
        self.work.step()
        return time.perf_counter() - begin

    def timed(self, name, runs):
        """Seconds of each of `runs` runs, after a warm-up of 30 ms: the caches are cold and the threads asleep after the other side's turn."""
        self.choose(name)
        begin = time.perf_counter()
        self.run()
        while time.perf_counter() - begin < 0.03:
            self.run()
        return [self.run() for _ in range(runs)]

    def answer(self, words):
        if words[0] == "list":
            return {"names": list(self.works), "build": self.build}
        if words[0] == "threads":
            torch.set_num_threads(int(words[1]))
            self.forget()
            return {"threads": torch.get_num_threads()}
        if words[0] == "losses":
            torch._dynamo.reset()
            return {"name": words[1], "losses": self.works[words[1]]().losses(words[2])}
        return {"name": words[0], "seconds": self.timed(words[0], int(words[1]))}

    def serve(self):
        torch.manual_seed(0)
        for line in sys.stdin:
            try:
                print(json.dumps(self.answer(line.split())), flush=True)
            except Exception as error:  # the caller shows it; the next request may still work
                print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
