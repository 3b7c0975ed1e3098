#!/usr/bin/env python3
"""What a TFLite keyword transformer learns with this project, beside PyTorch, and what it forgets.

    keyword_transformer.py ATTUNE SHARED WORK

SHARED holds models/kwt1, data/fsdd and data/speech_commands. Wants numpy, PyTorch and onnxruntime.
1. Spoken digits, which it has never heard: a fresh head, trained by Attune and by PyTorch (on the same features of the
   same frozen network), both with momentum 0.9, batches of 8 and a cosine schedule.
2. Five other speakers: the model's own head, trained on the first three takes of each word, judged on the others.
"""
import collections
import json
import pathlib
import subprocess
import sys
import wave

import numpy as np

RATE, EPOCHS = 0.02, 6
TRAIN_TAKES, TEST_TAKES = range(5, 15), range(0, 5)  # of a digit and speaker; the first five are the usual test


def recording(path):
    """16,000 samples at 16 kHz, zeros behind."""
    with wave.open(str(path)) as file:
        x = np.frombuffer(file.readframes(file.getnframes()), np.int16) / 32768
        if file.getframerate() == 8000:  # twice as many samples of the same spectrum
            x = np.fft.irfft(np.fft.rfft(x), 2 * len(x)) * 2
    return np.pad(x[:16000], (0, max(0, 16000 - len(x)))).astype(np.float32)


def attune(*arguments):
    run = subprocess.run([sys.argv[1], *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout) if '--json' in arguments else None


def train_and_judge(work, plan, train, test, epochs, rate):
    checkpoint = work / 'kwt.atc'
    attune('train', plan, '--data', train, '--epochs', epochs, '--learning-rate', rate, '--schedule', 'cosine',
           '--checkpoint', checkpoint, '--overwrite', '--quiet')
    return accuracy(plan, test, '--checkpoint', checkpoint)


def accuracy(plan, test, *more):
    return 100 * attune('evaluate', plan, '--data', test, '--json', *more)['accuracy']


def in_pytorch(onnx_file, train, test):
    import onnx
    import onnxruntime
    import torch
    torch.manual_seed(0)
    model = onnx.load(onnx_file)
    head = next(n for n in reversed(model.graph.node) if n.op_type == 'Gemm')
    model.graph.output.append(onnx.helper.make_tensor_value_info(head.input[0], onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])

    def features(file):
        data = np.load(file)
        x = [session.run([head.input[0]], {session.get_inputs()[0].name: data['x'][i:i + 50]})[0]
             for i in range(0, len(data['x']), 50)]
        return torch.from_numpy(np.concatenate(x)), torch.from_numpy(data['y'].astype(np.int64))

    x, y = features(train)
    layer = torch.nn.Linear(x.shape[1], 10)
    optimizer = torch.optim.SGD(layer.parameters(), lr=RATE, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * -(-len(x) // 8))
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(8):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(layer(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
    x, y = features(test)
    return 100 * (layer(x).argmax(1) == y).double().mean().item()


def digits(model, data, work):
    speakers = collections.defaultdict(list)
    for path in sorted((data / 'fsdd/recordings').glob('*.wav')):
        digit, _, take = path.stem.split('_')
        speakers[int(take)].append((int(digit), path))
    for name, takes in (('train', TRAIN_TAKES), ('test', TEST_TAKES)):
        chosen = [one for take in takes for one in speakers[take]]
        np.savez(work / f'digits_{name}.npz', x=np.stack([recording(p) for _, p in chosen]),
                 y=np.array([d for d, _ in chosen]))
    train, test = work / 'digits_train.npz', work / 'digits_test.npz'
    plan = work / 'digits.att'
    attune('compile', model, '-o', plan, '--scheme', 'head', '--classes', 10, '--quiet')
    attune('export', plan, '--model', model, '-o', work / 'digits.onnx', '--quiet')
    own = train_and_judge(work, plan, train, test, EPOCHS, RATE)
    print(f'digits, {len(np.load(train)["y"])} to learn from, {len(np.load(test)["y"])} to judge by: '
          f'Attune {own:.1f} %, PyTorch {in_pytorch(work / "digits.onnx", train, test):.1f} %', flush=True)


def speakers(model, labels, data, work):
    plan = work / 'words.att'
    attune('compile', model, '-o', plan, '--scheme', 'head', '--labels', labels, '--quiet')
    names = labels.read_text().split()
    right = collections.Counter()
    for speaker in sorted((data / 'speech_commands/personal').iterdir()):
        parts = {'train': [], 'test': []}
        for word in sorted(speaker.iterdir()):
            for take, path in enumerate(sorted(word.glob('*.wav'))):
                parts['train' if take < 3 else 'test'].append((names.index(word.name), path))
        for name, part in parts.items():
            np.savez(work / f'words_{name}.npz', x=np.stack([recording(p) for _, p in part]),
                     y=np.array([w for w, _ in part]))
        train, test, count = work / 'words_train.npz', work / 'words_test.npz', len(parts['test'])
        before = accuracy(plan, test)
        after = train_and_judge(work, plan, train, test, 10, 0.001)
        right.update(before=before * count, after=after * count, count=count)
        print(f'speaker {speaker.name}: {before:.1f} % before, {after:.1f} % after, of {count}', flush=True)
    print('all: %.1f %% before, %.1f %% after' %
          (right['before'] / right['count'], right['after'] / right['count']))


def main():
    shared, work = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    work.mkdir(parents=True, exist_ok=True)
    model = shared / 'models/kwt1/non_stream.tflite'
    digits(model, shared / 'data', work)
    speakers(model, shared / 'models/kwt1/labels.txt', shared / 'data', work)


main()
