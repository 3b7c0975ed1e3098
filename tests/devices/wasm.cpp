// What wasm.mjs calls: room for the plan, and training.
#include "tests/devices/device.h"

extern "C" __attribute__((import_module("env"), import_name("print"))) void print_text(
    const char* text);

namespace attune::device {
namespace {

constexpr size_t kBytes = size_t{4} << 20;
alignas(64) std::byte plan[kBytes], block[kBytes];

}  // namespace

void print(const char* text) { print_text(text); }
std::span<std::byte> memory() { return block; }
void begin_cost() {}
Cost end_cost() { return {}; }

}  // namespace attune::device

extern "C" {

__attribute__((export_name("plan_room"))) void* plan_room(size_t bytes) {
  return bytes <= attune::device::kBytes ? attune::device::plan : nullptr;
}

__attribute__((export_name("train"))) int train_plan(size_t bytes, int steps) {
  return attune::device::train({attune::device::plan, bytes}, steps) ? 0 : 1;
}
}
