"""Every method and the plan solvers on an NVIDIA device beside the CPU: steps per second, memory, and what an equal seed reaches on both.

    python benchmarks/devices.py [speed agree plans] [--methods uotm ...]

speed: steps/s at the method's defaults and with batch 4096 and width 512, and the device's peak memory in MB. agree: moons to spiral after
`--steps` from the same seed on both (the draws are the same, the rounding is not): W2 to the re-weighted target over its floor, and the
map's distance from the optimal one. plans: seconds of Sinkhorn on all pairs and of the lazy one. Prints Markdown tables for quality.md.
"""

import argparse
import time
import warnings

import torch

import uotlab
from uotlab.engine.begin import begin
from uotlab.engine.spec import RunSpec

LARGE = {"batch_size": 4096, "width": 512}
AGREE = ("uotm", "uotfm", "ubgan", "otmg", "uoticnn", "ubdual", "nubot")


def rate(name: str, params: dict, device: str, seconds: float) -> tuple[float, float]:
    """Steps/s over at least `seconds` after a start of three steps, and the peak of the device's memory in MB."""
    cls = uotlab.METHODS[name]
    params = {k: v for k, v in params.items() if k in cls.model_fields}
    run = begin(RunSpec(method=name, params=params, dataset="moons-to-spiral", device=device))
    on_gpu = run.state.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    for _ in range(3):
        run.method.step(run.state)
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for _ in range(2):
            run.method.step(run.state)
        steps += 2
        if on_gpu and steps % 10 == 0:
            torch.cuda.synchronize()
    if on_gpu:
        torch.cuda.synchronize()
    return steps / (time.perf_counter() - start), torch.cuda.max_memory_allocated() / 1e6 if on_gpu else 0.0


def speed(methods: list[str], seconds: float) -> None:
    print("| method | CPU | GPU | GPU MB | batch 4096, width 512: CPU | GPU | times | GPU MB |\n|---|---|---|---|---|---|---|---|")
    for name in methods:
        cells: list[str] = []
        for params in ({}, LARGE):
            try:
                cpu, _ = rate(name, params, "cpu", seconds)
                gpu, memory = rate(name, params, "cuda", seconds)
            except Exception as error:
                cells += [type(error).__name__, str(error)[:60], *([""] if params else []), ""]
                continue
            cells += [f"{cpu:.3g}", f"{gpu:.3g}", *([f"{gpu / cpu:.2g}"] if params else []), f"{memory:.0f}"]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def agree(methods: list[str], steps: int) -> None:
    print(
        f"\n| method, {steps} steps | " + " | ".join(f"{d}: W2 over floor, map error" for d in ("CPU", "GPU")) + " | s |\n|---|---|---|---|"
    )
    problem = uotlab.load("moons-to-spiral")
    for name in methods:
        cells, seconds = [], []
        for device in ("cpu", "cuda"):
            start = time.perf_counter()
            fitted = uotlab.fit(name, problem, steps, device=device)
            seconds.append(f"{time.perf_counter() - start:.0f}")
            scores = fitted.evaluate(2000)
            cells.append(f"{scores['w2'] / scores['w2 floor']:.3g}, {scores['map error share']:.1%}")
        print(f"| {name} | " + " | ".join(cells) + f" | {', '.join(seconds)} |", flush=True)


def plans() -> None:
    print("\n| solver, n = m | CPU s | GPU s | times | value differs by |\n|---|---|---|---|---|")
    for name, n, settings in (("sinkhorn", 2000, {}), ("sinkhorn", 8000, {}), ("sinkhorn-lazy", 20000, {})):
        x, y = (uotlab.load("moons-to-spiral", n=n, seed=0).marginals[k].points for k in (0, 1))
        found = []
        for device in ("cpu", "cuda"):
            X, Y = (torch.tensor(p, device=device) for p in (x, y))
            solver = uotlab.SOLVERS[name](rho1=1.0, rho2=1.0, eps=0.05, **settings)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if device == "cuda":
                    solver.plan(X[:500], Y[:500])
                start = time.perf_counter()
                plan = solver.plan(X, Y)
                torch.cuda.synchronize() if device == "cuda" else None
            found.append((time.perf_counter() - start, plan.value))
        (a, v), (b, w) = found
        print(f"| {name}, {n} | {a:.2f} | {b:.2f} | {a / b:.2g} | {abs(v - w) / abs(v):.1e} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["speed", "agree", "plans"])
    parser.add_argument("--methods", nargs="*", default=None)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks/devices.py needs an NVIDIA device, and this machine has none.")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    methods = options.methods or [m for m in uotlab.METHODS if uotlab.METHODS[m].family != "barycenter"]
    if "speed" in options.parts:
        speed(options.methods or list(uotlab.METHODS), options.seconds)
    if "agree" in options.parts:
        agree(options.methods or [m for m in AGREE if m in methods], options.steps)
    if "plans" in options.parts:
        plans()


if __name__ == "__main__":
    main()
