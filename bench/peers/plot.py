"""A bar for every program and configuration: the time of its step over that of Attune's, on a logarithmic axis."""
import math
import statistics
from xml.sax.saxutils import escape

COLOURS = ["#222222", "#ee6c4d", "#f2a65a", "#3d84a8", "#b56576", "#62a87c", "#8d7cc3", "#999999", "#c2b280"]
WIDTH, LEFT, TOP, BAR, GAP, TICKS = 900, 250, 56, 11, 14, (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)


def svg(rows):
    times = {}
    for row in rows:
        if row["ms"] and "error" not in row:
            key = (row["model"], row["scheme"], row["batch"], row["threads"])
            times.setdefault(key, {})[row["program"]] = statistics.median(row["ms"])
    programs = list(dict.fromkeys(row["program"] for row in rows))
    ratios = {key: {p: ms / group["Attune"] for p, ms in group.items()}
              for key, group in times.items() if "Attune" in group}
    values = [r for group in ratios.values() for r in group.values()] or [1]
    low, high = min(0.5, *values) * 0.9, max(2, *values) * 1.15

    def x(ratio):
        return LEFT + (WIDTH - LEFT - 60) * math.log(ratio / low) / math.log(high / low)

    height = TOP + len(ratios) * (BAR * len(programs) + GAP) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           'font-family="sans-serif" font-size="11">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           '<text x="10" y="18" font-size="13">Time of a training step over that of Attune; '
           'longer than the line at 1 is slower</text>']
    at = 10
    for program, colour in zip(programs, COLOURS):
        out.append(f'<rect x="{at}" y="28" width="10" height="10" fill="{colour}"/>'
                   f'<text x="{at + 14}" y="37">{escape(program)}</text>')
        at += 28 + 6 * len(program)
    for tick in TICKS:
        if low <= tick <= high:
            out.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 6}" y2="{height - 22}" '
                       f'stroke="{"#222" if tick == 1 else "#ccc"}"/>'
                       f'<text x="{x(tick):.1f}" y="{height - 8}" text-anchor="middle">{tick:g}</text>')
    y = TOP
    for (model, scheme, batch, threads), group in ratios.items():
        middle = y + BAR * len(programs) / 2 + 4
        out.append(f'<text x="10" y="{middle:.1f}">{model}, {scheme}, batch {batch}, {threads} '
                   f'thread{"" if threads == 1 else "s"}</text>')
        for program, colour in zip(programs, COLOURS):
            if program in group:
                begin, end = sorted((x(1), x(group[program])))
                if program == "Attune":
                    begin, end = x(1) - 1, x(1) + 1
                out.append(f'<rect x="{begin:.1f}" y="{y}" width="{end - begin:.1f}" height="{BAR - 1}" '
                           f'fill="{colour}"/><text x="{end + 3:.1f}" y="{y + 9}" font-size="9">'
                           f'{group[program]:.2f}</text>')
            y += BAR
        y += GAP
    return "\n".join(out + ["</svg>", ""])
