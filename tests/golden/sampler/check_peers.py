#!/usr/bin/env python3
"""Prints what README.md says of the peers: the orders they reach and the places where they are wrong.

python3 check_peers.py
"""

import logging
import warnings

import numpy as np
import torch

import make_schedulers as make
import mixture
import peers

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

COUNTS = (24, 48, 96, 192)


def grid(count, kind):
    """count + 1 noise levels from 20 to 0.05: equal steps in log-SNR, or steps that grow smoothly by a factor of about 3."""
    u = np.linspace(0, 1, count + 1)
    if kind == "uneven":
        u = u + 0.25 * np.sin(2 * np.pi * u) / np.pi
    return np.exp(np.log(20.0) + (np.log(0.05) - np.log(20.0)) * u)


def zero_noise(shape, **_):
    return torch.zeros(tuple(shape))


def solve(name, config, target, sigmas):
    """A scheduler run on levels of our own, with all noise zero; the result is x / alpha."""
    made, module = peers.scheduler_class(name)
    module.randn_tensor = zero_noise
    config = dict(config)
    if name not in make.FLOW:
        config["prediction_type"] = make.PREDICTION[target]
    scheduler = made(**config)
    count = len(sigmas) - 1
    scheduler.set_timesteps(count)
    levels = torch.tensor(sigmas / (1 + sigmas) if name in make.FLOW else sigmas)
    if name in make.TWO_STAGES:
        if name == "KDPM2DiscreteScheduler":
            middle = (levels[1:] * levels[:-1]).sqrt()
            scheduler.sigmas_interpol = torch.cat([levels[:1], middle.repeat_interleave(2), levels[-1:], levels[-1:]])
            levels = torch.cat([levels[:1], levels[1:].repeat_interleave(2), levels[-1:], levels[-1:]])
        else:
            levels = torch.cat([levels[:1], levels[1:].repeat_interleave(2), levels[-1:]])
    scheduler.sigmas = levels
    calls = 2 * count if name in make.TWO_STAGES else count
    scheduler.timesteps = torch.arange(calls, 0, -1)
    if name in make.SIGMA_EDM | make.EDM | make.FLOW:
        scheduler.timesteps = scheduler.timesteps.double()
    if name == "DPMSolverSinglestepScheduler":
        scheduler.order_list = scheduler.get_order_list(count)
    scheduler.set_begin_index(0)
    first = make.level_at(name, scheduler, 0)
    x = torch.tensor(make.START * first[1]).reshape(1, -1, 1)
    for call in range(calls):
        level = make.level_at(name, scheduler, call)
        output = make.predict(target, x.flatten().numpy(), *level, getattr(scheduler.config, "sigma_data", 0.5))
        scheduler.scale_model_input(x, scheduler.timesteps[call]) if hasattr(scheduler, "scale_model_input") else None
        x = scheduler.step(torch.tensor(output).reshape(1, -1, 1), scheduler.timesteps[call], x, return_dict=False)[0]
    sigma = float(scheduler.sigmas[calls])
    return x.flatten().numpy() / make.level_of_sigma(name, scheduler, sigma)[0]


def solve_k(name, options, sigmas):
    sampling = peers.k_diffusion_sampling(zero_noise)
    options = dict(options)
    if "eta" in options:
        options["noise_sampler"] = lambda *_: torch.zeros(1, peers.DIM)

    def model(x, sigma):
        return torch.tensor(mixture.denoise(x.numpy(), 1.0, float(sigma[0]))).reshape(x.shape)

    x = getattr(sampling, name)(model, torch.tensor(make.START * sigmas[0]).reshape(1, -1), torch.tensor(sigmas), disable=True, **options)
    return x.flatten().numpy()


def without_noise(start, first, last, count=20000):
    """The reverse SDE with its noise left out: dy/dlambda = 2 (D(y) - y) in y = x / alpha, by Runge-Kutta 4."""
    y, lam = np.array(start), -np.log(first)
    h = (np.log(first) - np.log(last)) / count

    def slope(y, lam):
        return 2 * (mixture.denoise(y, 1.0, np.exp(-lam)) - y)

    for _ in range(count):
        a = slope(y, lam)
        b = slope(y + h / 2 * a, lam + h / 2)
        c = slope(y + h / 2 * b, lam + h / 2)
        d = slope(y + h * c, lam + h)
        y, lam = y + h / 6 * (a + 2 * b + 2 * c + d), lam + h
    return y


def orders():
    first, last = 20.0, 0.05
    start = make.START * first
    ode, drift = np.array(mixture.transport(start, (1.0, first), (1.0, last))), without_noise(start, first, last)

    def row(label, solver, exact, kind="even"):
        errors = [np.abs(solver(grid(n, kind)) - exact).max() for n in COUNTS]
        fitted = [np.log2(a / b) for a, b in zip(errors, errors[1:])]
        print(f"{label:66s} {kind:6s} " + " ".join(f"{e:.1e}" for e in errors) + "  orders " + " ".join(f"{o:.2f}" for o in fitted))

    multi, single = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"
    full = {"final_sigmas_type": "sigma_min", "lower_order_final": False}
    for kind in ("even", "uneven"):
        for name, target, config in (
            [("EulerDiscreteScheduler", "epsilon", {}), ("HeunDiscreteScheduler", "epsilon", {}), ("KDPM2DiscreteScheduler", "epsilon", {})]
            + [
                (multi, "epsilon", full | {"solver_order": n, "algorithm_type": a, "solver_type": s})
                for a in ("dpmsolver++", "dpmsolver")
                for n, s in ((1, "midpoint"), (2, "midpoint"), (2, "heun"), (3, "midpoint"))
            ]
            + [
                (single, "epsilon", full | {"solver_order": n, "algorithm_type": a, "solver_type": s})
                for a in ("dpmsolver++", "dpmsolver")
                for n, s in ((2, "midpoint"), (2, "heun"), (3, "midpoint"), (3, "heun"))
            ]
            + [
                ("UniPCMultistepScheduler", "epsilon", full | {"solver_order": n, "solver_type": s, "predict_x0": x})
                for x in (True, False)
                for n in (1, 2, 3)
                for s in ("bh1", "bh2")
            ]
            + [("DEISMultistepScheduler", "epsilon", {"solver_order": n, "lower_order_final": False}) for n in (1, 2, 3)]
            + [("EDMDPMSolverMultistepScheduler", "edm", full | {"solver_order": n}) for n in (2, 3)]
            + [("FlowMatchEulerDiscreteScheduler", "velocity", {}), ("FlowMatchHeunDiscreteScheduler", "velocity", {})]
        ):
            row(f"{name} {[v for k, v in config.items() if k not in full]}", lambda s: solve(name, config, target, s), ode, kind)
        for name, options in [
            ("sample_heun", {}),
            ("sample_dpm_2", {}),
            ("sample_lms", {"order": 4}),
            ("sample_dpmpp_2m", {}),
            ("sample_dpmpp_2s_ancestral", {"eta": 0.0}),
            ("sample_dpmpp_2m_sde", {"eta": 0.0}),
            ("sample_dpmpp_3m_sde", {"eta": 0.0}),
        ]:
            row(f"{name} {options}", lambda s: solve_k(name, options, s), ode, kind)
        print("noise left out, against the drift of the reverse SDE:")
        for name, target, config in (
            [
                (multi, "epsilon", full | {"solver_order": n, "algorithm_type": a, "solver_type": s})
                for a, n, s in (
                    ("sde-dpmsolver++", 1, "midpoint"),
                    ("sde-dpmsolver++", 2, "midpoint"),
                    ("sde-dpmsolver++", 2, "heun"),
                    ("sde-dpmsolver++", 3, "midpoint"),
                    ("sde-dpmsolver", 1, "midpoint"),
                    ("sde-dpmsolver", 2, "midpoint"),
                    ("sde-dpmsolver", 2, "heun"),
                )
            ]
            + [
                (single, "epsilon", full | {"solver_order": n, "algorithm_type": "sde-dpmsolver++", "solver_type": s})
                for n, s in ((2, "midpoint"), (2, "heun"), (3, "midpoint"), (3, "heun"))
            ]
            + [("EDMDPMSolverMultistepScheduler", "edm", full | {"solver_order": n, "algorithm_type": "sde-dpmsolver++"}) for n in (2,)]
        ):
            row(f"{name} {[v for k, v in config.items() if k not in full]}", lambda s: solve(name, config, target, s), drift, kind)
        for name, options in [
            ("sample_dpmpp_2m_sde", {"eta": 1.0}),
            ("sample_dpmpp_2m_sde", {"eta": 1.0, "solver_type": "heun"}),
            ("sample_dpmpp_3m_sde", {"eta": 1.0}),
        ]:
            row(f"{name} {options}", lambda s: solve_k(name, options, s), drift, kind)


def places():
    def made(name, **config):
        return peers.scheduler_class(name)[0](**config)

    def finite(name, target, steps, config):
        try:
            return bool(np.isfinite(np.array(make.run({"class": name, "target": target, "steps": steps, "config": config})["x"])).all())
        except (ValueError, UnboundLocalError) as error:  # a ValueError: the exact end was asked for of a state that is no number
            return f"{type(error).__name__}: {error}"

    for spacing, steps in (("linspace", 10), ("trailing", 7), ("leading", 7)):
        s = made("DDIMScheduler", timestep_spacing=spacing)
        s.set_timesteps(steps)
        times = s.timesteps.tolist()
        print(f"DDIM {spacing} {steps}: visits {times}, steps to {[t - 1000 // steps for t in times]}")
    print("DDPM fixed_large_log is finite:", finite("DDPMScheduler", "x0", 10, {"variance_type": "fixed_large_log"}))
    print(
        "EDM DPM-Solver, third order, stochastic:",
        finite("EDMDPMSolverMultistepScheduler", "edm", 10, {"solver_order": 3, "algorithm_type": "sde-dpmsolver++"}),
    )
    print("UniPC bh1 to sigma = 0 is finite:", finite("UniPCMultistepScheduler", "epsilon", 10, {"solver_type": "bh1"}))
    for name in ("DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler", "DPMSolverSinglestepScheduler"):
        print(f"{name} with 1000 of 1000 steps is finite:", finite(name, "epsilon", 1000, {"solver_order": 2}))
    for spacing, offset in (("leading", 0), ("leading", 1), ("trailing", 0)):
        for variance in ("fixed_small", "fixed_large"):
            s = made("DDPMScheduler", timestep_spacing=spacing, steps_offset=offset, variance_type=variance)
            s.set_timesteps(10)
            last = int(s.timesteps[-1])
            print(
                f"DDPM {variance} {spacing} offset {offset}: the last step, from index {last}, adds noise of deviation",
                float(s._get_variance(last)) ** 0.5 if last > 0 else 0,
            )
    for name in ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"):
        for shift in (1.0, 3.0):
            s = made(name, shift=shift)
            for steps in (2, 4):
                s.set_timesteps(steps)
                print(f"{name} shift {shift}: {steps} steps from", s.sigmas.tolist())
    for times in (True, False):
        s = made("DEISMultistepScheduler", use_karras_sigmas=times)
        s.set_timesteps(5)
        print("DEIS karras", times, s.sigmas.tolist())
    s = made("EulerDiscreteScheduler", timestep_spacing="linspace", interpolation_type="log_linear")
    s.set_timesteps(5)
    print("Euler log_linear: ", len(s.sigmas), "levels for", len(s.timesteps), "steps", s.sigmas.tolist(), s.timesteps.tolist())
    print("SCM: cos(1.57080) =", np.cos(1.57080))
    s = made("TCDScheduler")
    print("TCD: ends at alpha_bar", float(s.alphas_cumprod[0]), "though set_alpha_to_one is", s.config.set_alpha_to_one)

    # Churn: what the network was asked at, and what it is taken for.
    sigmas = np.array(peers.k_diffusion_sampling(peers.noise_stream()).get_sigmas_karras(10, 0.002, 80.0))
    right = make.run_k_diffusion({"class": "sample_euler", "levels": sigmas.tolist(), "stochastic": "churn", "step": {"s_churn": 4.0}})[
        "x"
    ][-1]
    found = make.run({"class": "EDMEulerScheduler", "target": "edm", "steps": 10, "config": {}, "step": {"s_churn": 4.0}})["x"][-1]
    print("Euler with churn 4, 10 Karras levels: k-diffusion", right, "diffusers EDMEuler", found)


if __name__ == "__main__":
    places()
    orders()
