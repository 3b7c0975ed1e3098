// train PLAN STEPS, where there are files.
#include <cstdio>
#include <cstdlib>

#include "tests/devices/device.h"

namespace attune::device {
namespace {

constexpr size_t kBytes = size_t{4} << 20;
alignas(64) std::byte plan[kBytes], block[kBytes];

}  // namespace

void print(const char* text) { std::fputs(text, stdout); }
std::span<std::byte> memory() { return block; }
void begin_cost() {}
Cost end_cost() { return {}; }

}  // namespace attune::device

int main(int argc, char** argv) {
  using namespace attune::device;
  std::FILE* file = argc == 3 ? std::fopen(argv[1], "rb") : nullptr;
  if (!file) {
    std::fputs("usage: train PLAN STEPS\n", stderr);
    return 2;
  }
  const size_t bytes = std::fread(plan, 1, sizeof(plan), file);
  std::fclose(file);
  return train({plan, bytes}, std::atoi(argv[2])) ? 0 : 1;
}
