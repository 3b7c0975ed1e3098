#pragma once

#include <string>
#include <vector>

#include "graph/import/model.h"
#include "sparse_update/pipeline/compile.h"

namespace attune {

// Networks of the usual kinds, with weights of no meaning: what a machine is profiled with where no
// plans are given.

struct MobileNetwork {
  int resolution = 128;
  std::vector<int> widths = {16, 24, 40, 80, 96, 160};  // of a stage; each but the first halves
  int expansion = 4;
  int kernel = 3;           // of the depthwise convolutions
  int blocks = 2;           // a stage
  bool norms = false;       // batch norms behind every convolution
  bool hard_swish = false;  // instead of ReLU6
};
ModelPtr mobile_network(const MobileNetwork& options);

// 3x3 convolutions with residual additions; a 7x7 one and a max pool first.
ModelPtr residual_network(int resolution, const std::vector<int>& widths);
// A 10x4 convolution and depthwise ones over a spectrum, an average pool at the end.
ModelPtr keyword_network(int width);
ModelPtr dense_network(const std::vector<int>& widths);

struct RepresentativePlan {
  std::string name;
  ModelPtr model;
  CompileOptions options;
};
// A minute of measuring covers them all on a processor of today.
std::vector<RepresentativePlan> representative_plans();

}  // namespace attune
