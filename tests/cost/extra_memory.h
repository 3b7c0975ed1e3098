#pragma once

#include <cstdint>

#include "graph/ir/graph.h"
#include "sparse_update/scheme.h"

namespace attune {

// What an int8 training step keeps for its backward pass, by the model that Lin et al. chose their
// schemes with (On-Device Training Under 256KB Memory, NeurIPS 2022, arXiv 2206.15472), in bits for
// one example. It is a figure to compare schemes by, not the memory of a plan.
struct ExtraMemory {
  int64_t mask_bits = 0;        // a bit for each output element of a layer whose bias is trained
  int64_t bias_bits = 0;        // 32 a trained bias
  int64_t input_bits = 0;       // 8 a kept input element of a layer whose weight is trained
  int64_t weight_bits = 0;      // 8 a trained weight
  int64_t classifier_bits = 0;  // 8 an input element of the classifier, where it is trained

  int64_t bits() const {
    return mask_bits + bias_bits + input_bits + weight_bits + classifier_bits;
  }
  int64_t kib() const { return bits() / 8 / 1024; }  // rounded down, as published
};

// Layers are those of find_layers; a layer without a clamp after it counts its mask all the same,
// as published. The classifier counts its input alone.
ExtraMemory extra_memory(const Graph& forward, const Scheme& scheme);

}  // namespace attune
