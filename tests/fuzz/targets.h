#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

// What reads foreign bytes, as functions of any bytes: they return, or a sanitizer has found
// something. A name of a target is that of its function, its executable and its folder of seeds.

#define ATTUNE_DEVICE_TARGETS(F) \
  F(plan)                        \
  F(checkpoint)                  \
  F(npz)                         \
  F(npy)                         \
  F(idx)                         \
  F(csv)                         \
  F(manifest)                    \
  F(sound)                       \
  F(png)                         \
  F(jpeg)                        \
  F(webp)                        \
  F(tiff)                        \
  F(gif)                         \
  F(bmp)                         \
  F(pnm)
#define ATTUNE_HOST_TARGETS(F) F(onnx) F(tflite) F(json)

namespace attune::fuzz {

using Input = std::span<const std::byte>;

#define ATTUNE_DECLARE_TARGET(name) void name(Input input);
ATTUNE_DEVICE_TARGETS(ATTUNE_DECLARE_TARGET)
ATTUNE_HOST_TARGETS(ATTUNE_DECLARE_TARGET)
#undef ATTUNE_DECLARE_TARGET

struct Target {
  const char* name;
  void (*run)(Input input);
};

// Small honest inputs of each target, by its name.
struct Seed {
  std::string target;
  std::vector<std::byte> bytes;
};
std::vector<Seed> seeds();

}  // namespace attune::fuzz
