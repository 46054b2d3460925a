"""Writes adam.inc: six parameters, six updates by torch.optim.Adam and AdamW in float64.

    python make.py > adam.inc        (torch 2.x)
"""
import torch

start = [0.5, -1.25, 2.0, 0.0, -0.03, 100.0]
gradients = [[((7 * i + 3 * k) % 11 - 5) / 4.0 * (10.0 ** (i - 3)) for i in range(6)] for k in range(6)]
gradients[3] = [0.0] * 6  # moments decay, parameters still move


def run(make, factors=None):
    p = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = make([p])
    rate = optimizer.param_groups[0]["lr"]
    for k, g in enumerate(gradients):
        p.grad = torch.tensor(g, dtype=torch.float64)
        if factors:
            optimizer.param_groups[0]["lr"] = rate * factors[k]
        optimizer.step()
    state = optimizer.state[p]
    return p.tolist(), state["exp_avg"].tolist(), state["exp_avg_sq"].tolist()


def table(name, rows):
    print(f"inline std::vector<std::vector<double>> const {name}{{")
    for row in rows:
        print("    {" + ", ".join(f"{v:.17g}" for v in row) + "},")
    print("};")


print(f"// Made by make.py with torch {torch.__version__}. Rows of results: parameters, first and second moments after six updates.")
table("start", [start])
table("gradients", gradients)
table("adam_default", run(lambda p: torch.optim.Adam(p)))
table("adam_other", run(lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-3)))
table("adam_factors", run(lambda p: torch.optim.Adam(p, lr=0.02), factors=[0.25, 0.5, 0.75, 1.0, 0.5, 0.0]))
table("adamw_default", run(lambda p: torch.optim.AdamW(p)))
table("adamw_other", run(lambda p: torch.optim.AdamW(p, lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3)))
