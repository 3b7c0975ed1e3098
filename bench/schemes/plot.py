"""Accuracy against memory, whose axis is logarithmic."""

import math
from xml.sax.saxutils import escape

COLOURS = {"searched": "#c0392b", "last": "#3d84a8", "bias": "#62a87c", "published": "#8d7cc3", "full": "#222222",
           "head": "#999999"}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 380, 60, 90, 62, 44


def ticks(low, high):
    step = next(s for s in (0.5, 1, 2, 5, 10, 20) if (high - low) / s <= 9)
    return [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def panel(title, points):
    memories, means = [p[2] for p in points], [p[3] for p in points]
    left_end, right_end = min(memories) / 1.15, max(memories) * 1.15
    # A scheme that learns next to nothing would flatten all others.
    high, low = max(means), max(min(means), max(means) - 16)
    high, low = high + 0.08 * (high - low) + 0.2, low - 0.08 * (high - low) - 0.2
    x = lambda memory: LEFT + (WIDTH - LEFT - RIGHT) * math.log(memory / left_end) / math.log(right_end / left_end)
    y = lambda mean: TOP + (HEIGHT - TOP - BOTTOM) * (high - max(mean, low)) / (high - low)
    bottom = HEIGHT - BOTTOM
    out = [f'<text x="10" y="44" font-size="13">{escape(title)}</text>']
    for tick in ticks(low, high):
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g} %</text>')
    for power in range(4, 18):
        kib = 2**power
        if left_end <= 1024 * kib <= right_end:
            out.append(f'<line x1="{x(1024 * kib):.1f}" x2="{x(1024 * kib):.1f}" y1="{TOP}" y2="{bottom}" stroke="#ddd"/>'
                       f'<text x="{x(1024 * kib):.1f}" y="{bottom + 16}" text-anchor="middle">{kib:,} KiB</text>')
    for kind, name, memory, mean, error in points:
        colour = COLOURS[kind]
        out.append(f'<line x1="{x(memory):.1f}" x2="{x(memory):.1f}" y1="{y(mean - error):.1f}" y2="{y(mean + error):.1f}" '
                   f'stroke="{colour}"/>'
                   f'<circle cx="{x(memory):.1f}" cy="{y(mean):.1f}" r="{5 if kind == "searched" else 4}" fill="{colour}"/>'
                   f'<text x="{x(memory) + 7:.1f}" y="{y(mean) + 3:.1f}" font-size="9" fill="{colour}">'
                   f'{escape("" if kind == "searched" else name)}</text>')
    return out


def svg(title, points):
    """`points`: (kind, name, bytes, mean, error)."""
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
           'font-size="11">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           '<text x="10" y="18" font-size="13">Test accuracy, mean and standard error, against all RAM of a session</text>']
    at = 470
    for kind, colour in COLOURS.items():
        out.append(f'<circle cx="{at}" cy="14" r="4" fill="{colour}"/><text x="{at + 8}" y="18">{kind}</text>')
        at += 30 + 6 * len(kind)
    return "\n".join([*out, *panel(title, points), "</svg>", ""])
