"""What zoo.sh measured: a line for each net that falls short, and a table. Fails where there is one.

usage: judge.py RESULTS.jsonl [NAMES.txt]     NAMES.txt: the nets that must be there

A net is right where one of its exports compiles, computes what the model does, and has right gradients. fed.json beside
the results has the verdicts of fed.py; a net of several inputs that no reference differentiates is held against the
plan by `attune verify` alone. Compiling may
take 5 s of processor time, and 3 times the weights plus 64 MB.
"""
import json
import os
import sys

MAX_SECONDS, MB_BESIDE_WEIGHTS, TIMES_WEIGHTS = 5, 64, 3


def shortcoming(variant, fed):
    """Why an export is not right, in words; empty: it is."""
    if 'error' in variant['export']:
        return 'not exported: ' + variant['export']['error'][:150]
    full = variant['compile']['full']
    if not full['ok']:
        return 'refused: ' + ' '.join(full['error'].split())[:300]
    if fed == 'right':
        return ''
    if fed not in (None, 'no reference'):
        return f'gradient: {fed}'
    forward = variant.get('forward', {})
    if forward.get('verdict') != 'right':
        return f'forward: {forward}'[:300]
    gradient = variant.get('gradient', {})
    if gradient.get('verdict') not in ('right', 'not fed'):
        return f'gradient: {gradient.get("verdict")} {gradient.get("relative", 0):.1e} {gradient.get("error", "")} {gradient.get("bad", [])[:2]}'[:300]
    return ''


def excess(variant):
    """What compiling took beyond its bounds, in words."""
    full, weights = variant['compile']['full'], variant['export'].get('weights', 0)
    bound = TIMES_WEIGHTS * weights * 4 / 1e6 + MB_BESIDE_WEIGHTS
    found = []
    if full['cpu'] > MAX_SECONDS:
        found.append(f'{full["cpu"]} s of processors')
    if full['mb'] > bound:
        found.append(f'{full["mb"]} MB, where {bound:.0f} are allowed')
    return ', '.join(found)


def main():
    records = {}
    with open(sys.argv[1]) as file:
        for line in file:
            record = json.loads(line)
            records[record['name']] = record
    fed_path = os.path.join(os.path.dirname(sys.argv[1]), 'fed.json')
    fed = json.load(open(fed_path)) if os.path.exists(fed_path) else {}
    wanted = open(sys.argv[2]).read().split() if len(sys.argv) > 2 else list(records)
    right, costly = 0, 0
    for name in wanted:
        if name not in records:
            print(f'{name:32} not measured')
            continue
        reasons = [(v['variant'], shortcoming(v, fed.get(name))) for v in records[name]['variants']]
        good = [v for v in records[name]['variants'] if not shortcoming(v, fed.get(name))]
        if not good:
            for variant, reason in reasons:
                print(f'{name:32} {variant:7} {reason}')
            continue
        right += 1
        if all(excess(v) for v in good):
            costly += 1
            print(f'{name:32} compiling took {excess(good[0])}')
    print(f'\n{right} of {len(wanted)} nets are right, {costly} of them took too much to compile')
    return right < len(wanted) or costly > 0


if __name__ == '__main__':
    sys.exit(main())
