#!/usr/bin/env python3
"""Draws bench/results.json: cost over the number of timers, lateness, memory; SVG and PNG."""

import argparse
import json
import os
import sys

HIGHLIGHT = "#c1121f"
OTHERS = ("#003049", "#669bbc", "#2a9d8f", "#8d6a9f", "#7f7f7f", "#b08900", "#4f772d", "#1d1d1d")
# In the order of the legend.
NAMES = {
    "timer_plain": "async-timer, plain",
    "timer_awaitable": "async-timer, coroutine",
    "asio_callback": "Asio callback loop",
    "asio_awaitable": "Asio coroutine loop",
    "libev": "libev",
    "libuv": "libuv",
    "libevent": "libevent",
    "tokio_interval": "tokio interval",
    "go_afterfunc": "Go AfterFunc",
    "timerfd_epoll": "timerfd + epoll",
}
OURS = ("timer_plain", "timer_awaitable")
TIMERS = {"A": 1, "B": 1e3, "C": 1e5, "D": 1e6, "E": 1e5, "F": 1e6, "S1": 1e3, "S2": 1e5, "S3": 1e6}


def style_of(name):
    if name in OURS:
        return {"color": HIGHLIGHT, "linewidth": 3, "zorder": 5,
                "linestyle": "-" if name == OURS[0] else "--"}
    return {"color": OTHERS[list(NAMES).index(name) - len(OURS)], "linewidth": 1.5, "zorder": 3}


def finish(plt, figure, folder, name):
    figure.tight_layout()
    for ending in ("svg", "png"):
        figure.savefig(os.path.join(folder, f"{name}.{ending}"), dpi=150)
    plt.close(figure)


def draw_cost(plt, medians, folder):
    panels = (("100,000 ticks/s: mostly the cost of waking up", ("B", "C", "D")),
              ("1,000,000 ticks/s", ("E", "F")),
              ("as fast as it can: the cost of a tick itself", ("S1", "S2", "S3")))
    figure, axes = plt.subplots(1, len(panels), figsize=(15, 5), sharey=True)
    seen = {}
    for axis, (title, scenarios) in zip(axes, panels):
        for name in NAMES:
            points = [(TIMERS[s], medians[name][s]["cpu_ns_per_tick"])
                      for s in scenarios if s in medians.get(name, {})]
            if points:
                seen[name] = axis.plot(*zip(*points), marker="o", label=NAMES[name], **style_of(name))[0]
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("number of timers")
        axis.set_title(title, fontsize=11)
        axis.grid(True, which="major", alpha=0.4)
    axes[0].set_ylabel("CPU time per tick (ns)")
    if not seen:
        plt.close(figure)
        return False
    figure.legend([seen[n] for n in NAMES if n in seen], [NAMES[n] for n in NAMES if n in seen],
                  loc="lower center", ncol=5, frameon=False, bbox_to_anchor=(0.5, -0.12))
    figure.tight_layout()
    for ending in ("svg", "png"):
        figure.savefig(os.path.join(folder, f"cost.{ending}"), dpi=150, bbox_inches="tight")
    plt.close(figure)
    return True


def draw_lateness(plt, medians, folder):
    scenarios = {"A": "1 timer at 1 ms", "C": "100,000 timers at 1 s", "F": "1,000,000 timers at 1 s"}
    names = [n for n in NAMES if any(s in medians.get(n, {}) for s in scenarios)]
    if not names:
        return False
    figure, axes = plt.subplots(1, len(scenarios), figsize=(15, 0.45 * len(names) + 1.8), sharey=True)
    for axis, (scenario, title) in zip(axes, scenarios.items()):
        for at, name in enumerate(names):
            m = medians.get(name, {}).get(scenario)
            if m is None:
                continue
            p50, p99 = (max(m[key] / 1000, 0.001) for key in ("late_p50_us", "late_p99_us"))
            color = style_of(name)["color"]
            axis.plot((p50, p99), (at, at), color=color, linewidth=4 if name in OURS else 2)
            axis.plot(p50, at, "o", color=color, markersize=8)
            axis.plot(p99, at, "|", color=color, markersize=14, markeredgewidth=3)
        axis.set_xscale("log")
        axis.set_xlabel("lateness (ms): dot p50, bar p99")
        axis.set_title(f"{scenario}: {title}", fontsize=11)
        axis.grid(True, axis="x", alpha=0.4)
    axes[0].set_yticks(range(len(names)), [NAMES[n] for n in names])
    for label, name in zip(axes[0].get_yticklabels(), names):
        if name in OURS:
            label.set_color(HIGHLIGHT)
            label.set_fontweight("bold")
    axes[0].invert_yaxis()
    finish(plt, figure, folder, "lateness")
    return True


def draw_memory(plt, medians, folder):
    names = [n for n in NAMES if "F" in medians.get(n, {})]
    if not names:
        return False
    used = [max(medians[n]["F"][key] for key in ("bytes_per_timer", "bytes_per_timer_at_end"))
            for n in names]
    figure, axis = plt.subplots(figsize=(9, 0.45 * len(names) + 1.6))
    bars = axis.barh([NAMES[n] for n in names], used,
                     color=[HIGHLIGHT if n in OURS else "#9aa5b1" for n in names])
    axis.bar_label(bars, fmt="%.0f", padding=4)
    axis.set_xlabel("resident memory per timer (bytes), 1,000,000 timers at 1 s, the most during the run")
    axis.set_xlim(0, max(used) * 1.12)
    axis.invert_yaxis()
    axis.grid(True, axis="x", alpha=0.4)
    axis.set_axisbelow(True)
    finish(plt, figure, folder, "memory")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", help="bench/results.json")
    parser.add_argument("folder", help="where the pictures go")
    args = parser.parse_args()
    try:
        import matplotlib
    except ImportError:
        sys.exit("plots: matplotlib is not installed (Debian: python3-matplotlib)")
    matplotlib.use("Agg")
    # The same figures give the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "async_timer", "font.size": 10})
    from matplotlib import pyplot as plt
    try:
        with open(args.results, encoding="ascii") as file:
            medians = json.load(file)["medians"]
    except (OSError, ValueError, KeyError) as failure:
        sys.exit(f"plots: no figures in {args.results}: {failure}")
    os.makedirs(args.folder, exist_ok=True)
    for name, draw in (("cost", draw_cost), ("lateness", draw_lateness), ("memory", draw_memory)):
        print(f"{args.folder}/{name}.svg, .png" if draw(plt, medians, args.folder)
              else f"plots: no figures for {name}")


if __name__ == "__main__":
    main()
