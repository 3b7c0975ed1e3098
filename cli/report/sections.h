#pragma once

#include <string>
#include <vector>

#include "cli/report/plan_layers.h"

// The parts of the report's page, each a <section>.
namespace attune::cli {

// What the steps of a program cost, in milliseconds where they are estimated, else in
// multiply-adds.
struct StepCosts {
  bool in_ms = false;
  std::vector<double> of_step;

  std::string text(double cost) const;
};

// One program, looked at.
struct ProgramView {
  ProgramView(const format::Plan& plan, const format::Program& program);

  const format::Program& program;
  ArenaTrace trace;
  std::vector<Phase> phases;
  PlanLayers layers;
};

// The network as a strip, a box a layer, and below each box what the layer costs; then a table.
std::string layers_section(const ProgramView& view, const StepCosts& costs);

// What lies where in the arena when, and how much of it is in use.
std::string memory_section(const std::vector<ProgramView>& views);

// "Trains 105,122 of 470,834 parameters, in 24 of 43 layers: 6 whole weights, 1 in part, 24 biases"
std::string scheme_text(const PlanLayers& layers);

}  // namespace attune::cli
