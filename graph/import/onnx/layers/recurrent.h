#pragma once

#include <array>
#include <string>
#include <vector>

#include "graph/import/onnx/onnx_node.h"

namespace attune {

// A function of gates, by ONNX's name in lower case.
struct Activation {
  std::string name;
  double alpha = 0, beta = 0;
};

// An LSTM, GRU or RNN node as its operators want it: examples first, then steps, then directions.
struct Recurrent {
  Op op = Op::lstm;
  int64_t examples = 0, steps = 0, directions = 1, hidden = 0, gates = 1;
  bool reverse = false;                 // the first direction
  bool steps_first = false;             // the node's own tensors: [T,N,..], [T,D,N,H], [D,N,H]
  bool reset_after = false;             // GRU
  bool input_forget = false;            // LSTM: f = 1 - i
  double clip = 0;                      // of what goes into activations; 0: none
  std::vector<Activation> activations;  // LSTM f, g, h, GRU f, g, RNN f; then the other direction's
  std::vector<int64_t> known_lengths;   // empty: all steps, or as `lengths` says
  // xw[N,T,D,G*H] r[D,G*H,H] b[D,2,G*H] h[N,D,H] c[N,D,H] lengths[N] peepholes[D,3*H]
  ValueId xw = kNone, r = kNone, b = kNone, h = kNone, c = kNone, lengths = kNone;
  ValueId peepholes = kNone;
};

// y[N,T,D,H], h[N,D,H] and c[N,D,H] after the last step.
struct RecurrentOutputs {
  ValueId y = kNone, h = kNone, c = kNone;
};

// What no fused operator computes: every step as operators of its own.
RecurrentOutputs unroll(const OnnxNode& n, const Recurrent& layer);

}  // namespace attune
