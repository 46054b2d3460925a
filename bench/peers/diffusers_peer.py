#!/usr/bin/env python3
"""The diffusers side: one `scheduler.step` a run, as a pipeline calls it, on an output that stands. Started by run_bench.py.

A run of 50 steps begins anew from the same noise when it has ended, which is not timed.
"""
import diffusers
import torch
from peer import Peer

steps = 50


class SchedulerStep:
    """`calls` calls of scheduler.step make one step of ours: Heun's scheduler takes one call for each evaluation of the network."""

    def __init__(self, name, shape, calls=1, arguments=None, **config):
        self.scheduler = getattr(diffusers, name)(**config)
        self.noise, self.output = torch.randn(shape), torch.randn(shape)
        self.calls, self.arguments, self.at = calls, arguments or {}, None

    def prepare(self):
        if self.at is None or self.at + self.calls > len(self.scheduler.timesteps):
            self.scheduler.set_timesteps(steps)
            self.scheduler.is_scale_input_called = True  # pipelines scale the network's input before; here it would only add a warning
            self.x, self.at = self.noise.clone(), 0

    @torch.inference_mode()
    def step(self):
        for _ in range(self.calls):
            t = self.scheduler.timesteps[self.at]
            self.x = self.scheduler.step(self.output, t, self.x, return_dict=False, **self.arguments)[0]
            self.at += 1


images = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
multistep = {**images, "final_sigmas_type": "zero"}
schedulers = {
    "ddim": ("DDIMScheduler", {**images, "clip_sample": False}),
    "ddim_eta1": ("DDIMScheduler", {**images, "clip_sample": False, "arguments": {"eta": 1.0}}),
    "ancestral": ("DDPMScheduler", {**images, "clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", images),
    "heun": ("HeunDiscreteScheduler", {**images, "calls": 2}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", images),
    "dpm_solver_2m": ("DPMSolverMultistepScheduler", {**multistep, "solver_order": 2}),
    "dpm_solver_3m": ("DPMSolverMultistepScheduler", {**multistep, "solver_order": 3}),
    "dpm_solver_sde": ("DPMSolverMultistepScheduler", {**multistep, "solver_order": 2, "algorithm_type": "sde-dpmsolver++"}),
    "unipc": ("UniPCMultistepScheduler", {**multistep, "solver_order": 2, "solver_type": "bh2"}),
    "flow_match_euler": ("FlowMatchEulerDiscreteScheduler", {}),
}
works = {
    f"step_{name}_{'x'.join(map(str, shape))}": lambda kind=kind, shape=shape, config=config: SchedulerStep(kind, shape, **config)
    for name, (kind, config) in schedulers.items()
    for shape in ((64, 3, 32, 32), (64, 3, 256, 256))
}
Peer(f"diffusers {diffusers.__version__}", works).serve()
