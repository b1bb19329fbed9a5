#!/usr/bin/env python3
"""Turns what heaptrack has seen into a table and a plot.

usage: heap_plot.py <massif file> <summary file> <svg file>

The first two come from heaptrack_print: --print-massif, and its standard output.
"""

import argparse
import pathlib
import re
import sys

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 300, 70, 46, 34, 16
TOTALS = (("calls to allocation functions", "allocations"),
          ("temporary memory allocations", "of them at once released"),
          ("peak heap memory consumption", "peak"),
          ("total memory leaked", "left at the end"))


def read_massif(text):
    """Returns (seconds, bytes) of each snapshot."""
    unit = {"ms": 1e-3, "s": 1.0}[re.search(r"^time_unit: (\w+)", text, re.M).group(1)]
    pairs = re.findall(r"^time=([\d.e+-]+)\nmem_heap_B=(\d+)", text, re.M)
    return [(float(time) * unit, int(size)) for time, size in pairs]


def svg(points, title):
    last = points[-1][0] or 1
    most = max(size for _, size in points) or 1
    step = next(s for s in (2 ** n * 1024 for n in range(40)) if most / s <= 6)

    def x(seconds):
        return LEFT + seconds / last * (WIDTH - LEFT - RIGHT)

    def y(size):
        return HEIGHT - BOTTOM - size / (step * 6) * (HEIGHT - BOTTOM - TOP)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="14">{title}</text>']
    for line in range(7):
        at = y(line * step)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">'
                   f'{line * step // 1024} KiB</text>')
    for quarter in range(5):
        seconds = last * quarter / 4
        out.append(f'<text x="{x(seconds):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
                   f'{seconds:.1f}</text>')
    out.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
               'seconds of the run</text>')
    line = " ".join(f"{x(seconds):.1f},{y(size):.1f}" for seconds, size in points)
    out.append(f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="1.5"/>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def table(points, summary):
    """Returns the rows: the heap at five moments, and the totals of heaptrack."""
    rows = [("heap at", "")]
    last = points[-1][0]
    for share in (0.2, 0.4, 0.6, 0.8, 0.95):
        at = max((p for p in points if p[0] <= last * share), default=points[0])
        rows.append((f"  {share:.0%} of the run", f"{at[1] / 1024:.0f} KiB"))
    for label, name in TOTALS:
        found = re.search(rf"^{label}: (\S+)", summary, re.M)
        if not found:
            sys.exit(f"heap_plot.py: no line '{label}' in what heaptrack_print said")
        rows.append((name, found.group(1)))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("massif", type=pathlib.Path)
    parser.add_argument("summary", type=pathlib.Path)
    parser.add_argument("svg", type=pathlib.Path)
    given = parser.parse_args()
    points = read_massif(given.massif.read_text())
    if not points:
        sys.exit(f"heap_plot.py: no snapshot in {given.massif}")
    given.svg.parent.mkdir(parents=True, exist_ok=True)
    given.svg.write_text(svg(points, "Heap of 1,000 timers and their consumers, by heaptrack"))
    for name, value in table(points, given.summary.read_text()):
        print(f"{name:<28}{value:>12}")


if __name__ == "__main__":
    main()
