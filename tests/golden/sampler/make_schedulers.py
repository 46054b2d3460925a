#!/usr/bin/env python3
"""Writes schedulers.json: states that diffusers' schedulers and k-diffusion's samplers pass through on an exact network.

README.md has the layout of the file, the packages to install and what was found on the way.

    python3 make_schedulers.py
"""

import importlib.metadata
import json
import logging
import pathlib
import platform
import warnings

import numpy as np
import torch

import mixture
import peers

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

START = np.array([-1.25, -0.375, 0.5, 1.75])  # times the deviation of the noise at the first level
LEARNED_VARIANCE = np.array([-0.75, -0.25, 0.25, 0.75])  # second half of what a network with learned variance returns
KEPT = 50  # runs of more calls keep every 50th and the last

TABLE = {"DDPMScheduler", "DDIMScheduler", "LCMScheduler", "TCDScheduler", "PNDMScheduler"}
SIGMA_EDM = {"EulerDiscreteScheduler", "HeunDiscreteScheduler", "EulerAncestralDiscreteScheduler", "KDPM2DiscreteScheduler"}
EDM = {"EDMEulerScheduler", "EDMDPMSolverMultistepScheduler"}
FLOW = {"FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"}
TWO_STAGES = {"HeunDiscreteScheduler", "KDPM2DiscreteScheduler", "FlowMatchHeunDiscreteScheduler"}
PREDICTION = {
    "epsilon": "epsilon",
    "x0": "sample",
    "v": "v_prediction",
    "edm": "epsilon",
    "minus_edm": "v_prediction",
    "velocity": "flow_prediction",
    "trig": "trigflow",
}


def ratio(level):
    """sigma / alpha, null where alpha = 0."""
    alpha, sigma = level
    return float(sigma / alpha) if alpha != 0 else None


def level_of_table(scheduler, time):
    """(alpha, sigma) at an index of the table; a negative one is the data end."""
    bar = float(scheduler.alphas_cumprod[int(time)] if time >= 0 else getattr(scheduler, "final_alpha_cumprod", 1.0))
    return bar**0.5, (1 - bar) ** 0.5


def level_of_sigma(name, scheduler, sigma):
    if name in SIGMA_EDM | EDM:
        return 1.0, sigma
    if name in FLOW or getattr(scheduler.config, "use_flow_sigmas", False):
        return 1 - sigma, sigma
    alpha = 1 / np.sqrt(1 + sigma**2)
    return alpha, sigma * alpha


def level_at(name, scheduler, call):
    """(alpha, sigma) at which the network is called, or, for call = number of calls, where the last step ends."""
    times = scheduler.timesteps
    if name in TABLE:
        return level_of_table(scheduler, int(times[call]) if call < len(times) else -1)
    if name == "SCMScheduler":
        time = float(times[call])
        return np.cos(time), scheduler.config.sigma_data * np.sin(time)
    if name == "KDPM2DiscreteScheduler" and call % 2 == 1 and call < len(times):
        return 1.0, float(scheduler.sigmas_interpol[call])
    return level_of_sigma(name, scheduler, float(scheduler.sigmas[call]))


def predict(target, x, alpha, sigma, sigma_data):
    """What an exact network of this target returns at x = alpha x0 + sigma epsilon."""
    clean = mixture.denoise(x, alpha, sigma)
    if target == "x0":
        return clean
    if target in ("edm", "minus_edm"):
        square = sigma**2 + sigma_data**2
        value = (clean - sigma_data**2 / square * x) / (sigma * sigma_data / np.sqrt(square))
        return value if target == "edm" else -value
    noise = (x - alpha * clean) / sigma
    if target == "epsilon":
        return noise
    if target == "v":  # of the equivalent level with alpha^2 + sigma^2 = 1
        return (alpha * noise - sigma * clean) / np.hypot(alpha, sigma)
    if target == "velocity":
        return noise - clean
    if target == "trig":  # cos(t) z - sin(t) x0 with z = sigma_data epsilon
        return alpha * sigma_data * noise - sigma / sigma_data * clean
    raise ValueError(target)


def ulp_noise(shape, rng):
    return 1 + rng.uniform(-1, 1, shape) * 2.0**-53 * 2


def shake(scheduler, rng):
    """Moves every entry of a scheduler's tables by up to an ulp: how far the states then move is their rounding error."""
    for table in ("alphas_cumprod", "sigmas", "sigmas_interpol"):
        values = getattr(scheduler, table, None)
        if values is not None:
            setattr(scheduler, table, values * torch.tensor(ulp_noise(values.shape, rng)))


def run(spec, shaken=None, first_row=0):
    name, target, steps = spec["class"], spec["target"], spec["steps"]
    made, module = peers.scheduler_class(name)
    config = dict(spec["config"])
    # EDM's schedulers call the sign of the network's output a prediction type; flow matching knows one target alone.
    if name not in FLOW:
        config["prediction_type"] = PREDICTION[target]
    scheduler = made(**config)
    stream = peers.noise_stream(first_row)
    module.randn_tensor = stream
    if shaken is not None:
        shake(scheduler, shaken)
    scheduler.set_timesteps(steps, **spec.get("set_timesteps", {}))
    if shaken is not None and name not in TABLE and name != "SCMScheduler":
        shake(scheduler, shaken)
    if name == "SCMScheduler":  # it rounds its times to float on the way
        scheduler.timesteps = torch.tensor(spec["times"])
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)

    sigma_data = getattr(scheduler.config, "sigma_data", 0.5)
    calls = len(scheduler.timesteps) - (name == "SCMScheduler")
    first = level_at(name, scheduler, 0)
    x = torch.tensor(START * (first[1] if name in SIGMA_EDM | EDM | {"SCMScheduler"} else 1.0)).reshape(1, peers.DIM, 1)
    record = {"start": x.flatten().tolist(), "call": [], "time": [], "level": [], "x": []}
    if name == "UniPCMultistepScheduler":
        record["corrected"] = []
    if name in {"DDPMScheduler", "DDIMScheduler"}:
        record["to_time"] = []
    draws = []
    for call in range(calls):
        time = scheduler.timesteps[call]
        alpha, sigma = level_at(name, scheduler, call)
        scheduler.scale_model_input(x, time) if hasattr(scheduler, "scale_model_input") else None
        output = predict(target, x.flatten().numpy(), alpha, sigma, sigma_data)
        if config.get("variance_type") == "learned_range":
            output = np.concatenate([output, LEARNED_VARIANCE])
        output = torch.tensor(output).reshape(1, -1, 1)
        x = scheduler.step(output, time, x, **spec.get("step", {}), return_dict=False)[0]
        draws.append(stream.draws)
        if calls > KEPT and (call + 1) % KEPT and call + 1 < calls:
            continue
        record["call"].append(call + 1)
        record["time"].append(int(time) if float(time).is_integer() else float(time))
        record["level"].append(ratio((alpha, sigma)))
        if "corrected" in record:
            record["corrected"].append(scheduler.last_sample.flatten().tolist())
        if name == "DDPMScheduler":
            record["to_time"].append(int(scheduler.previous_timestep(time)))
        if name == "DDIMScheduler":
            record["to_time"].append(max(-1, int(time) - scheduler.config.num_train_timesteps // steps))
        record["x"].append(x.flatten().tolist())
    end = level_at(name, scheduler, calls)
    if name == "DDIMScheduler":
        end = level_of_table(scheduler, record["to_time"][-1])
    if name == "LCMScheduler":
        end = (1.0, 0.0)
    if name == "TCDScheduler":  # its last step ends at index 0, not before it
        end = level_of_table(scheduler, 0)
    record["end"] = ratio(end)
    if stream.draws:
        record["draws"] = [draws[call - 1] for call in record["call"]]
    if name in TWO_STAGES:
        record["whole"] = [int(call % 2 == 0 or call == calls) for call in record["call"]]
    if name == "DPMSolverSinglestepScheduler":
        record["orders"] = list(scheduler.order_list)
    record["precision"] = "double" if x.dtype == torch.float64 and getattr(scheduler, "sigmas", x).dtype == torch.float64 else "float"
    follows_ode = name not in {"DDPMScheduler", "LCMScheduler", "SCMScheduler"}
    clips = config.get("thresholding") or config.get("clip_sample", name == "DDIMScheduler")
    if follows_ode and not clips:
        record["ode_end"] = mixture.transport(record["start"], first, end)
    return record


def run_k_diffusion(spec, shaken=None, first_row=0):
    """k-diffusion's samplers run from a list of levels to its end: the state after k steps ends at the list's k-th level.

    The churn of a sampler is divided by the number of steps, so that the shorter lists have the same one a step.
    """
    sigmas = np.array(spec["levels"], dtype=np.float64)
    if shaken is not None:
        sigmas = sigmas * ulp_noise(sigmas.shape, shaken)
    steps = len(sigmas) - 1
    start = START * sigmas[0]
    record = {"start": start.tolist(), "call": [], "level": [], "x": [], "draws": []}
    for count in range(1, steps + 1):
        stream = peers.noise_stream(first_row)
        sampling = peers.k_diffusion_sampling(stream)
        options = dict(spec.get("step", {}))
        if "s_churn" in options:
            options["s_churn"] *= count / steps
        if spec["stochastic"] == "sampler":
            options["noise_sampler"] = lambda *_: stream((peers.DIM,))

        def model(x, sigma):
            return torch.tensor(mixture.denoise(x.numpy(), 1.0, float(sigma[0]))).reshape(x.shape)

        x = getattr(sampling, spec["class"])(
            model, torch.tensor(start).reshape(1, -1), torch.tensor(sigmas[: count + 1]), disable=True, **options
        )
        record["call"].append(count)
        record["level"].append(float(sigmas[count - 1]))
        record["x"].append(x.flatten().tolist())
        record["draws"].append(stream.draws)
    record["end"] = float(sigmas[-1])
    record["ode_end"] = mixture.transport(record["start"], (1.0, sigmas[0]), (1.0, sigmas[-1]))
    record["precision"] = "double"
    return record


def specs():
    made = []

    def add(name, target, steps, config=None, **more):
        made.append({"package": "diffusers", "class": name + "Scheduler", "target": target, "steps": steps, "config": config or {}, **more})

    leading, linspace, trailing = {"timestep_spacing": "leading"}, {"timestep_spacing": "linspace"}, {"timestep_spacing": "trailing"}
    scaled = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    cosine, geodiff = {"beta_schedule": "squaredcos_cap_v2"}, {"beta_schedule": "sigmoid"}
    terminal = {"rescale_betas_zero_snr": True}
    open_ = {"clip_sample": False}

    # DDPM
    large, small_log, learned = ({"variance_type": v} for v in ("fixed_large", "fixed_small_log", "learned_range"))
    for config, target, steps in [
        (leading, "epsilon", 10),
        (leading | large, "epsilon", 10),
        (leading | small_log, "epsilon", 10),
        (leading | learned, "epsilon", 10),
        (linspace, "x0", 7),
        (trailing, "v", 7),
        (leading | scaled | {"steps_offset": 1}, "epsilon", 25),
        (trailing | cosine | large, "v", 10),
        (leading | geodiff, "epsilon", 10),
        (linspace | geodiff | large, "v", 10),
        (leading, "epsilon", 1),
        (trailing, "epsilon", 1),
        (leading, "v", 2),
        (linspace, "x0", 3),
        (leading, "epsilon", 1000),
        (leading | large, "x0", 1000),
        (trailing | terminal, "v", 10),
        (trailing | terminal | large, "x0", 7),
    ]:
        add("DDPM", target, steps, config | open_)
    add("DDPM", "epsilon", 10, leading)
    add("DDPM", "epsilon", 10, leading | cosine | large | {"clip_sample_range": 0.75})
    add("DDPM", "epsilon", 1000, leading | cosine)
    add("DDPM", "x0", 10, leading | {"thresholding": True, "dynamic_thresholding_ratio": 0.9, "sample_max_value": 1.5})

    # DDIM
    for steps in (1, 2, 3, 7, 10, 25, 1000):
        add("DDIM", "epsilon", steps, leading | open_)
    for config, target, steps in [
        (linspace, "epsilon", 10),
        (linspace, "v", 7),
        (trailing, "epsilon", 10),
        (trailing, "x0", 7),
        (trailing, "v", 3),
        (leading, "x0", 10),
        (leading, "v", 10),
        (leading | cosine, "epsilon", 10),
        (trailing | cosine, "v", 25),
        (leading | scaled | {"steps_offset": 1, "set_alpha_to_one": False}, "epsilon", 25),
        (trailing | scaled, "v", 10),
        (trailing | terminal, "v", 1),
        (trailing | terminal, "v", 10),
        (trailing | terminal, "x0", 10),
        (trailing | terminal | scaled, "v", 25),
    ]:
        add("DDIM", target, steps, config | open_)
    for config, target, steps, eta in [
        (leading, "epsilon", 10, 0.5),
        (leading, "epsilon", 10, 1.0),
        (leading, "x0", 25, 1.0),
        (trailing | cosine, "v", 10, 1.0),
        (leading | scaled, "epsilon", 7, 0.5),
        (trailing | terminal, "v", 10, 0.5),
        (leading, "epsilon", 1000, 1.0),
    ]:
        add("DDIM", target, steps, config | open_, step={"eta": eta})
    add("DDIM", "epsilon", 10, leading)
    add("DDIM", "epsilon", 10, leading | {"clip_sample_range": 0.75}, step={"use_clipped_model_output": True})
    add("DDIM", "epsilon", 10, leading | {"clip_sample_range": 0.75}, step={"eta": 1.0, "use_clipped_model_output": True})
    add("DDIM", "v", 10, leading | {"thresholding": True, "dynamic_thresholding_ratio": 0.9, "sample_max_value": 1.5})

    # Euler, Heun, ancestral Euler and DPM-2 on noise levels
    karras, exponential = {"use_karras_sigmas": True}, {"use_exponential_sigmas": True}
    minimum = {"final_sigmas_type": "sigma_min"}
    for config, target, steps in [
        (linspace, "epsilon", 1),
        (linspace, "epsilon", 2),
        (linspace, "epsilon", 3),
        (linspace, "epsilon", 10),
        (leading, "epsilon", 10),
        (trailing, "v", 10),
        (linspace, "x0", 7),
        (leading | scaled | {"steps_offset": 1}, "epsilon", 25),
        (linspace | karras, "epsilon", 25),
        (linspace | exponential, "epsilon", 10),
        (linspace | minimum, "v", 10),
        (linspace | cosine, "x0", 10),
        (linspace, "epsilon", 1000),
    ]:
        add("EulerDiscrete", target, steps, config)
    for config, target, steps in [
        (linspace, "epsilon", 1),
        (linspace, "epsilon", 2),
        (linspace, "epsilon", 10),
        (trailing, "x0", 7),
        (linspace | karras, "v", 10),
        (linspace | {"clip_sample": True}, "epsilon", 7),
        (linspace | karras | scaled, "epsilon", 25),
    ]:
        add("HeunDiscrete", target, steps, config)
    for config, target, steps in [
        (linspace, "epsilon", 1),
        (linspace, "epsilon", 10),
        (trailing, "v", 7),
        (leading | scaled, "epsilon", 3),
        (linspace | cosine, "epsilon", 25),
    ]:
        add("EulerAncestralDiscrete", target, steps, config)
    for config, target, steps in [
        (linspace, "epsilon", 1),
        (linspace, "epsilon", 2),
        (linspace, "epsilon", 10),
        (linspace | karras, "v", 7),
        (trailing | scaled, "epsilon", 25),
    ]:
        add("KDPM2Discrete", target, steps, config)

    # Multistep DPM-Solver
    order = {n: {"solver_order": n} for n in (1, 2, 3)}
    heun, sde, noise, sde_noise = (
        {"solver_type": "heun"},
        {"algorithm_type": "sde-dpmsolver++"},
        {"algorithm_type": "dpmsolver"},
        {"algorithm_type": "sde-dpmsolver"},
    )
    for config, target, steps in [
        (order[1], "epsilon", 10),
        (order[2], "epsilon", 10),
        (order[2] | heun, "epsilon", 10),
        (order[3], "epsilon", 10),
        (order[2], "epsilon", 1),
        (order[2], "epsilon", 2),
        (order[3], "epsilon", 3),
        (order[2] | trailing, "epsilon", 7),
        (order[3] | leading, "x0", 7),
        (order[2], "v", 25),
        (order[3], "epsilon", 25),
        (order[2], "epsilon", 999),
        (order[2] | karras, "epsilon", 10),
        (order[3] | karras | minimum, "v", 25),
        (order[2] | {"use_lu_lambdas": True}, "epsilon", 10),
        (order[3] | {"euler_at_final": True} | minimum, "epsilon", 25),
        (order[2] | {"lower_order_final": False} | minimum, "epsilon", 10),
        (order[3] | {"lower_order_final": False} | minimum | heun, "x0", 10),
        (order[2] | minimum, "epsilon", 10),
        (order[2] | scaled | leading | {"steps_offset": 1}, "epsilon", 25),
        (order[2] | cosine | {"lambda_min_clipped": -5.1}, "epsilon", 10),
        (order[2] | trailing | terminal, "v", 10),
        (order[1] | noise | minimum, "epsilon", 10),
        (order[2] | noise | minimum, "epsilon", 10),
        (order[2] | noise | minimum | heun, "v", 10),
        (order[3] | noise | minimum, "epsilon", 25),
        (order[1] | sde, "epsilon", 10),
        (order[2] | sde, "epsilon", 10),
        (order[2] | sde | heun, "v", 10),
        (order[2] | sde | karras, "epsilon", 25),
        (order[3] | sde, "epsilon", 10),
        (order[1] | sde_noise | minimum, "epsilon", 10),
        (order[2] | sde_noise | minimum, "epsilon", 10),
        (order[2] | {"thresholding": True, "dynamic_thresholding_ratio": 0.9, "sample_max_value": 1.5}, "epsilon", 10),
    ]:
        add("DPMSolverMultistep", target, steps, config)
    for shift in (1.0, 3.0):
        add("DPMSolverMultistep", "velocity", 10, order[2] | {"use_flow_sigmas": True, "flow_shift": shift})

    # Single-step DPM-Solver
    for config, target, steps in [
        (order[1], "epsilon", 10),
        (order[2], "epsilon", 10),
        (order[2], "epsilon", 1),
        (order[2] | heun, "v", 7),
        (order[3], "epsilon", 10),
        (order[3] | heun, "epsilon", 10),
        (order[3], "x0", 25),
        (order[2] | noise | minimum, "epsilon", 7),
        (order[3] | noise | minimum, "epsilon", 10),
        (order[2] | sde, "epsilon", 7),
        (order[3] | karras | minimum | heun, "epsilon", 13),
    ]:
        add("DPMSolverSinglestep", target, steps, config)

    # UniPC
    # bh1 divides by an infinite step at sigma = 0: it ends at the lowest level of the table.
    one, two = {"solver_type": "bh1"} | minimum, {"solver_type": "bh2"}
    for n in (1, 2, 3):
        for kind in (one, two):
            add("UniPCMultistep", "epsilon", 10, order[n] | kind)
    for config, target, steps in [
        (order[2] | two, "epsilon", 1),
        (order[2] | two, "epsilon", 2),
        (order[3] | two, "epsilon", 3),
        (order[3] | two | trailing, "v", 7),
        (order[2] | one | leading, "x0", 7),
        (order[3] | two, "epsilon", 25),
        (order[2] | two | karras | minimum, "epsilon", 10),
        (order[2] | two | minimum | {"predict_x0": False}, "epsilon", 10),
        (order[3] | two | minimum | {"lower_order_final": False}, "v", 10),
        (order[2] | two | {"disable_corrector": [0, 1, 2]}, "epsilon", 7),
        (order[3] | one | scaled, "epsilon", 25),
    ]:
        add("UniPCMultistep", target, steps, config)

    # DEIS
    for config, target, steps in [
        (order[1], "epsilon", 10),
        (order[2], "epsilon", 10),
        (order[3], "epsilon", 10),
        (order[2], "v", 3),
        (order[3], "x0", 25),
        (order[2] | scaled | trailing, "epsilon", 7),
    ]:
        add("DEISMultistep", target, steps, config)

    # EDM
    for config, target, steps in [
        ({}, "edm", 1),
        ({}, "edm", 10),
        ({}, "edm", 18),
        ({"sigma_schedule": "exponential"}, "edm", 7),
        (minimum, "minus_edm", 10),
        ({"sigma_data": 1.0, "sigma_max": 20.0}, "edm", 10),
    ]:
        add("EDMEuler", target, steps, config)
    for config, target, steps in [
        (order[2], "edm", 1),
        (order[2], "edm", 2),
        (order[2], "edm", 10),
        (order[2], "edm", 25),
        (order[2] | heun, "minus_edm", 10),
        (order[3], "edm", 25),
        (order[1] | sde, "edm", 10),
        (order[2] | sde, "edm", 10),
        (order[2] | minimum | {"sigma_schedule": "exponential"}, "edm", 10),
    ]:
        add("EDMDPMSolverMultistep", target, steps, config)

    # Flow matching
    for shift in (1.0, 3.0):
        for steps in (1, 3, 10):
            add("FlowMatchEulerDiscrete", "velocity", steps, {"shift": shift})
        add("FlowMatchHeunDiscrete", "velocity", 10, {"shift": shift})
    add("FlowMatchEulerDiscrete", "velocity", 2, {"shift": 1.0})
    add("FlowMatchEulerDiscrete", "velocity", 25, {"shift": 3.0})
    add("FlowMatchEulerDiscrete", "velocity", 4, {"shift": 3.0, "stochastic_sampling": True})
    add("FlowMatchEulerDiscrete", "velocity", None, {}, set_timesteps={"sigmas": [1.0, 0.75, 0.5, 0.25]})
    add("FlowMatchEulerDiscrete", "velocity", None, {"shift": 3.0}, set_timesteps={"sigmas": [1.0, 0.75, 0.5, 0.25]})
    add("FlowMatchHeunDiscrete", "velocity", 3, {"shift": 1.0})

    # A few steps
    for target, steps in [("epsilon", 1), ("epsilon", 2), ("v", 4), ("x0", 8)]:
        add("LCM", target, steps, {})
    for eta, target, steps in [(0.0, "epsilon", 4), (0.3, "epsilon", 4), (0.3, "v", 1), (1.0, "x0", 8)]:
        add("TCD", target, steps, {}, step={"eta": eta})
    for times in ([np.arctan(160.0), 0.0], [np.arctan(160.0), 1.1, 0.0], [1.5, 1.0, 0.5, 0.0]):
        add("SCM", "trig", len(times) - 1, {}, times=times, set_timesteps={"intermediate_timesteps": None})
    for target, steps in [("epsilon", 10), ("v", 25)]:
        add("PNDM", target, steps, {"skip_prk_steps": True} | scaled)

    # k-diffusion, on lists of noise levels
    sampling = peers.k_diffusion_sampling(peers.noise_stream())
    edm = {n: sampling.get_sigmas_karras(n, 0.002, 80.0).tolist() for n in (6, 10, 18)}
    log_linear, vp = sampling.get_sigmas_exponential(7, 0.002, 80.0).tolist(), sampling.get_sigmas_vp(8).tolist()
    poly = sampling.get_sigmas_polyexponential(8, 0.002, 80.0, rho=1.5).tolist()
    churn = {"s_churn": 4.0, "s_tmin": 0.05, "s_tmax": 50.0, "s_noise": 1.003}
    for name, levels, options, stochastic in [
        ("sample_euler", edm[10], {}, ""),
        ("sample_euler", log_linear, {}, ""),
        ("sample_euler", vp, {}, ""),
        ("sample_euler", edm[10], churn, "churn"),
        ("sample_heun", edm[18], {}, ""),
        ("sample_heun", edm[10], churn, "churn"),
        ("sample_heun", [80.0, 0.0], {}, ""),
        ("sample_dpm_2", edm[10], {}, ""),
        ("sample_dpm_2", edm[10], churn, "churn"),
        ("sample_euler_ancestral", edm[10], {"eta": 1.0}, "sampler"),
        ("sample_euler_ancestral", poly, {"eta": 0.5, "s_noise": 1.1}, "sampler"),
        ("sample_dpm_2_ancestral", edm[6], {"eta": 1.0}, "sampler"),
        ("sample_lms", edm[10], {"order": 4}, ""),
        ("sample_dpmpp_2s_ancestral", edm[10], {"eta": 0.0}, "sampler"),
        ("sample_dpmpp_2s_ancestral", edm[6], {"eta": 1.0}, "sampler"),
        ("sample_dpmpp_sde", edm[6], {"eta": 1.0}, "sampler"),
        ("sample_dpmpp_2m", edm[10], {}, ""),
        ("sample_dpmpp_2m", vp, {}, ""),
        ("sample_dpmpp_2m_sde", edm[10], {"eta": 0.0}, ""),
        ("sample_dpmpp_2m_sde", edm[10], {"eta": 1.0}, "sampler"),
        ("sample_dpmpp_2m_sde", edm[10], {"eta": 0.5, "solver_type": "heun", "s_noise": 1.003}, "sampler"),
        ("sample_dpmpp_3m_sde", edm[10], {"eta": 0.0}, ""),
        ("sample_dpmpp_3m_sde", edm[10], {"eta": 1.0}, "sampler"),
    ]:
        if name.endswith("_sde") and not stochastic:
            stochastic = "sampler"
        made.append(
            {
                "package": "k-diffusion",
                "class": name,
                "target": "x0",
                "steps": len(levels) - 1,
                "config": {},
                "levels": levels,
                "stochastic": stochastic,
                "step": options,
            }
        )
    return made


def fault_of(spec, record):
    """Where the peer is known to be wrong, so that its numbers are for a copy of the mistake only. README.md tells more."""
    name, config, steps = spec["class"], spec["config"], spec["steps"]
    if name == "DDIMScheduler" and (1000 % steps if config["timestep_spacing"] == "trailing" else config["timestep_spacing"] == "linspace"):
        return "previous index"
    if name == "DDPMScheduler" and record["time"][-1] > 0:
        return "noise at the last step"
    if name in {"DPMSolverMultistepScheduler", "EDMDPMSolverMultistepScheduler"} and config.get("solver_order") == 3 and steps > 4:
        return "third order, sign" if config.get("algorithm_type", "").startswith("sde") else "third order, factor"
    if name == "sample_dpmpp_3m_sde":
        return "third order, factor"
    if name in FLOW and config.get("shift", 1.0) != 1.0 and steps and steps > 1:
        return "shifted twice"
    if name == "TCDScheduler":
        return "ends at index 0"
    return None


def frame_of(spec):
    if spec["package"] == "k-diffusion" or spec["class"] in SIGMA_EDM | EDM:
        return "edm"
    if spec["class"] in FLOW or spec["config"].get("use_flow_sigmas"):
        return "linear"
    return "trig" if spec["class"] == "SCMScheduler" else "vp"


def main():
    records = []
    for spec in specs():
        runner = run_k_diffusion if spec["package"] == "k-diffusion" else run
        record = runner(spec)
        if runner(spec, first_row=7)["x"] == record["x"]:
            record.pop("draws", None)
        else:
            record.pop("ode_end", None)
        spread = 0.0
        for seed in range(3):
            other = runner(spec, np.random.default_rng(seed))
            spread = max(spread, np.abs(np.array(other["x"]) - np.array(record["x"])).max())
        if not np.isfinite(np.array(record["x"])).all():
            raise RuntimeError(f"a state is not finite: {spec}")
        given = {k: v for k, v in spec.items() if k not in ("levels", "stochastic", "times")}
        fault = fault_of(spec, record)
        if fault:
            given["fault"] = fault
        records.append(given | {"frame": frame_of(spec), "spread": float(f"{spread:.1e}")} | record)

    versions = {name: importlib.metadata.version(name) for name in ("diffusers", "k-diffusion", "torch", "numpy", "scipy")}
    head = {
        "made_by": "make_schedulers.py",
        "python": platform.python_version(),
        "versions": versions,
        "patched": "float32 is float64 in every scheduler's module; noise comes from the rows of noise, in turn",
        "mixture": {"weights": mixture.WEIGHTS.tolist(), "means": mixture.MEANS.tolist(), "deviations": mixture.DEVIATIONS.tolist()},
        "noise_seed": peers.NOISE_SEED,
        "noise": peers.NOISE.tolist(),
        "learned_variance": LEARNED_VARIANCE.tolist(),
    }
    lines = [json.dumps(head, separators=(",", ":"), allow_nan=False)[:-1] + ',"runs":[']
    lines += [",\n".join(json.dumps(r, separators=(",", ":"), allow_nan=False) for r in records), "]}"]
    pathlib.Path(__file__).with_name("schedulers.json").write_text("\n".join(lines) + "\n")

    print(f"{len(records)} runs")
    for r in records:
        error = f"{np.abs(np.array(r['x'][-1]) - np.array(r['ode_end'])).max():.1e}" if "ode_end" in r else "-"
        print(f"{r['class']:32s} {r['target']:8s} {str(r['steps']):>5s} {r['precision']} spread {r['spread']:.0e}", end=" ")
        print(f"to the ODE {error:8s} {r['config']} {r.get('step', '')} {r.get('fault', '')}")


if __name__ == "__main__":
    main()
