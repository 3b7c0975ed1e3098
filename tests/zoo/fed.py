"""Gradients of the zoo's nets that zoo.py does not feed (those of several inputs, and one whose table is smaller than
the ids that it is given), or whose operators reference.py lacks. Held against autograd as zoo.py does it, on the files
that it exported.

usage: fed.py ZOO ATTUNE WORK     writes WORK/fed.json: a verdict for each, 'right' or why not
"""
import json
import os
import sys

zoo_folder, attune, work = sys.argv[1:4]
sys.path.insert(0, zoo_folder)
import numpy as np  # noqa: E402
import torch  # noqa: E402
import models  # noqa: E402
import reference  # noqa: E402
import zoo  # noqa: E402

ROWS = {'tiny_lm_tied': 50}


def places(x, index, first):
    """Indices [.., K] of the axes of x from `first` on, as a tuple; axes before it are walked together."""
    index = torch.where(index < 0, index + torch.tensor(x.shape[first:first + index.shape[-1]]), index)
    own = index.unbind(-1)
    grid = [torch.arange(n).reshape([-1 if a == i else 1 for i in range(own[0].dim())]) for a, n in enumerate(x.shape[:first])]
    return tuple(grid) + tuple(own)


def with_more_operators(node):
    def run(self, n, a, i):
        if n.op_type == 'IsNaN':
            return torch.isnan(i[0])
        if n.op_type == 'GatherND':
            return i[0][places(i[0], i[1], a.get('batch_dims', 0))]
        if n.op_type == 'ScatterND' and a.get('reduction', b'none') == b'none':
            return i[0].index_put(places(i[0], i[1], 0), i[2])
        if n.op_type == 'BatchNormalization' and i[3].requires_grad:
            scale, bias, mean, var = (t.reshape([-1] + [1] * (i[0].dim() - 2)) for t in i[1:5])
            return (i[0] - mean) / torch.sqrt(var + a.get('epsilon', 1e-5)) * scale + bias
        return node(self, n, a, i)
    return run


reference.Reference.node = with_more_operators(reference.Reference.node)


def left_over(work):
    """Nets that zoo.py has no reference for."""
    path = os.path.join(work, 'results.jsonl')
    records = map(json.loads, open(path)) if os.path.exists(path) else []
    return {r['name'] for r in records for v in r['variants'] if v.get('gradient', {}).get('verdict') == 'reference failed'}


def make_data(entry, path, notes, file, seed=5):
    """As zoo.make_data, every input by its name."""
    data = unnamed(entry, path, notes, file, seed)
    np.savez(file, **data['feed'], y=data['target'])
    return data


unnamed = zoo.make_data
verdicts, without = {}, left_over(work)
for entry in models.entries():
    path = os.path.join(work, 'onnx', f'{entry.name}.dynamo.onnx')
    if not os.path.exists(path) or not (len(entry.shapes) > 1 or entry.name in ROWS or entry.name in without):
        continue
    entry.vocab = ROWS.get(entry.name, entry.vocab)
    notes = json.load(open(path[:-5] + '.json'))
    plan, file = os.path.join(work, 'fed.att'), os.path.join(work, 'fed.npz')
    loss = zoo.LOSS[entry.loss]
    made = zoo.command(attune, 'compile', path, '-o', plan, '--scheme', 'full', '--optimizer', 'sgd', '--batch-size',
                       notes['batch'], '--loss', loss)
    verdict = {'verdict': 'refused', 'error': made['err'][:300]}
    if made['rc'] == 0:
        data = zoo.forked(make_data, entry, path, notes, file)
        verdict = {'verdict': 'no data', 'error': str(data[1])[:300]}
        if data[0] == 'ok':
            got = zoo.forked(zoo.check_gradients, attune, entry, path, plan, notes, data[1], file)
            verdict = got[1] if got[0] == 'ok' else {'verdict': 'no reference', 'error': str(got[1])[:300]}
    right = verdict['verdict'] == 'right'
    verdicts[entry.name] = verdict['verdict']
    print(f'{entry.name:32} {verdict["verdict"]} {verdict.get("relative", 0):.1e} {verdict.get("error", "")} '
          f'{"" if right else verdict.get("bad", "")}', flush=True)
json.dump(verdicts, open(os.path.join(work, 'fed.json'), 'w'))
