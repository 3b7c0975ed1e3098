"""Prints the numbers that mfcc_test.cpp expects: the front end in NumPy, written from its description.

The signal is integer arithmetic, so that both sides start from the same bits.
"""
import numpy as np


def signal(samples):
    i = np.arange(samples, dtype=np.int64)
    return ((i * i * 7 + i * 31) % 2001 - 1000).astype(np.float64) / 1024.0


def mel(hz):
    return 1127.0 * np.log(1.0 + hz / 700.0)


def mfcc(x, rate=16000, samples=16000, length=480, step=320, fft=512, bands=40, low=20.0,
         high=4000.0, count=10):
    x = np.concatenate([x[:samples], np.zeros(max(0, samples - len(x)))])
    peak = np.abs(x).max()
    if peak > 0:
        x = x / peak
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    frames = np.stack([x[s:s + length] * window for s in range(0, samples - length + 1, step)])
    magnitude = np.abs(np.fft.rfft(frames, fft))
    bins = mel(np.arange(fft // 2 + 1) * rate / fft)[:, None]
    edges = np.linspace(mel(low), mel(high), bands + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.maximum(0, np.minimum((bins - left) / (centre - left),
                                         (right - bins) / (right - centre)))
    triangles[0] = 0
    logs = np.log(magnitude @ triangles + np.float64(np.float32(1e-6)))
    k, m = np.arange(count)[:, None], np.arange(bands)[None]
    return logs @ (np.sqrt(2.0 / bands) * np.cos(np.pi * k * (m + 0.5) / bands)).T


if __name__ == "__main__":
    features = mfcc(signal(15000))
    for frame, coefficient in [(0, 0), (0, 1), (0, 9), (7, 3), (23, 5), (46, 0), (46, 9), (48, 0)]:
        print(f"{{{frame}, {coefficient}, {features[frame, coefficient]:.9g}}},")
