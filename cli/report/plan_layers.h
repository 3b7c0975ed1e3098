#pragma once

#include <string>
#include <vector>

#include "attune/plan.h"
#include "cli/step_phases.h"

namespace attune::format {
struct Parameter;
}

namespace attune::cli {

// A layer as schemes count them: a convolution or matrix product with a weight.
struct PlanLayer {
  std::string name, op;
  int32_t weight = -1;  // the program's tensor
  std::string weight_shape;
  uint64_t weight_elements = 0, other_elements = 0;  // other: its bias, its batch norm
  uint64_t trained_weight = 0, trained_other = 0;    // elements
  std::string slice;                                 // "48 of 96 input channels"
  bool fresh = false;                                // the model has no such weights
  bool one_filter_a_channel = false;                 // depthwise

  bool frozen() const { return trained_weight + trained_other == 0; }
  double weight_share() const {
    return static_cast<double>(trained_weight) / static_cast<double>(weight_elements);
  }
};

// The layers of a program, and what each of its steps belongs to: strips of rows, copies of these,
// activations and additions to the layer that feeds them, gradients and updates to the layer whose
// they are.
struct PlanLayers {
  static constexpr int kInput = -1, kLoss = -2;  // before the first layer; loss and metrics
  std::vector<PlanLayer> layers;                 // as the model orders them
  std::vector<int> of_step;                      // index into `layers`, kInput or kLoss
};

PlanLayers find_plan_layers(const format::Plan& plan, const format::Program& program,
                            const ArenaTrace& trace, const std::vector<Phase>& phases);

// Of a parameter and of its trained part.
uint64_t elements_of(const format::Parameter& parameter);
uint64_t elements_trained(const format::Parameter& parameter);

}  // namespace attune::cli
