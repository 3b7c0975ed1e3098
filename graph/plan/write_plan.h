#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "attune/plan.h"
#include "attune/preprocess.h"
#include "graph/ir/graph.h"
#include "graph/memory/memory_plan.h"
#include "kernels/kernel.h"

namespace attune {

// One compiled program.
struct PlanProgram {
  ProgramKind kind = ProgramKind::predict;
  int batch = 1;
  Graph graph;
  MemoryPlan memory;
  std::vector<Backend> kernels = {};  // by step of the plan; empty: chosen when the plan is loaded
};

// A trained parameter as the plan lists it. Values are found by name in the programs' graphs.
struct PlanParameter {
  std::string value_name;  // of the parameter value in every graph
  int slice_axis = -1;
  std::vector<int64_t> slice;
  std::string frozen_value_name = {};         // of what a narrow parameter leaves to the constants
  std::vector<std::string> slot_names;        // "velocity"
  std::vector<std::string> slot_value_names;  // of the state values in train_step's graph
};

// Everything that goes into a plan file.
struct PlanContents {
  std::vector<PlanProgram> programs;
  std::vector<PlanParameter> parameters;
  std::string model_name;
  uint64_t model_hash = 0;
  uint64_t signature = 0;
  DType real = DType::f32;
  std::string loss, optimizer, scheme, options;
  std::vector<std::string> classes, labels;  // their names, or none
  int class_count = 0;
  Preprocess preprocess;
};

// The bytes of the plan file. Equal constants are stored once.
std::vector<std::byte> write_plan(const PlanContents& contents);

// Bytes of the file that write_plan would write, and of its parts.
struct PlanSizes {
  uint64_t program = 0;  // the table: steps, shapes, names
  uint64_t constants = 0;
  uint64_t state = 0;  // with the zeros that the file leaves out
  uint64_t arena = 0;  // of the largest program; not in the file
  uint64_t file = 0;
};
PlanSizes measure_plan(const PlanContents& contents);

}  // namespace attune
