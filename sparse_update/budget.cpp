#include "sparse_update/budget.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>
#include <vector>

#include "graph/error.h"
#include "sparse_update/largest_items.h"
#include "sparse_update/number_text.h"

namespace attune {
namespace {

struct Unit {
  const char* name;
  double factor;
};

constexpr Unit kBytes[] = {{"", 1},          {"B", 1},        {"kB", 1e3},      {"KB", 1e3},
                           {"MB", 1e6},      {"GB", 1e9},     {"KiB", 1 << 10}, {"kiB", 1 << 10},
                           {"MiB", 1 << 20}, {"GiB", 1 << 30}};
constexpr Unit kMilliseconds[] = {{"us", 1e-3}, {"ms", 1}, {"s", 1e3}};

// A decimal number and one of the units, or -1.
template <size_t N>
double parse_amount(const std::string& text, const Unit (&units)[N]) {
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view unit = std::string_view(text).substr(digits);
  const char* const end = text.data() + digits;
  double number = -1;
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc() || rest != end) return -1;
  for (const Unit& known : units)
    if (unit == known.name) return number * known.factor;
  return -1;
}

std::string parts_text(const PlanCost& cost) {
  return fmt::format("state {}, arena {}, workspace {}, session {}", count_text(cost.state),
                     count_text(cost.arena), count_text(cost.workspace), count_text(cost.session));
}

// What to do about too much memory: the largest part decides.
std::string memory_advice(const PlanCost& cost) {
  if (cost.workspace >= cost.arena && cost.workspace >= cost.state)
    return "most of it is the kernels' own: --backend reference, simd or eigen take less";
  if (cost.arena >= cost.state) return "give a smaller --batch-size, or a scheme that trains less";
  return "give a scheme that trains less, or --optimizer sgd";
}

}  // namespace

bool Budget::allows(const PlanCost& cost) const {
  return !(memory_bytes && cost.memory() > *memory_bytes) &&
         !(flash_bytes && cost.flash() > *flash_bytes) && !(latency_ms && cost.ms > *latency_ms);
}

size_t parse_bytes(const std::string& option, const std::string& text) {
  const double bytes = parse_amount(text, kBytes);
  if (!(bytes >= 1 && bytes <= 0x1p53))
    throw_error("{} {}: is no number of bytes; give e.g. 256KiB, 1MiB, 1.5MB or 300000", option,
                text);
  return static_cast<size_t>(bytes);
}

double parse_milliseconds(const std::string& option, const std::string& text) {
  const double ms = parse_amount(text, kMilliseconds);
  if (!(ms > 0 && ms <= 1e12))
    throw_error("{} {}: is no time; give e.g. 40ms, 1.5s or 800us", option, text);
  return ms;
}

std::string exact_bytes_text(size_t bytes) {
  const double kib = static_cast<double>(bytes) / 1024;
  return fmt::format("{} bytes ({:.1f} {})", count_text(bytes), kib < 1024 ? kib : kib / 1024,
                     kib < 1024 ? "KiB" : "MiB");
}

void check_budget(const Budget& budget, const PlanCost& cost, const PlanContents& contents,
                  const std::string& subject) {
  if (budget.allows(cost)) return;
  std::vector<std::string> broken;
  if (budget.memory_bytes && cost.memory() > *budget.memory_bytes)
    broken.push_back(fmt::format(
        "needs {} of memory, --memory allows {}: {}; largest in the arena: {}; {}",
        exact_bytes_text(cost.memory()), exact_bytes_text(*budget.memory_bytes), parts_text(cost),
        items_text(largest_in_arena(contents, 3)), memory_advice(cost)));
  if (budget.flash_bytes && cost.flash() > *budget.flash_bytes)
    broken.push_back(
        fmt::format("needs {} of flash, --flash allows {}: constants {}, program {}; largest: {}",
                    exact_bytes_text(cost.flash()), exact_bytes_text(*budget.flash_bytes),
                    count_text(cost.constants), count_text(cost.program),
                    items_text(largest_in_flash(contents, 3))));
  if (budget.latency_ms && cost.ms > *budget.latency_ms)
    broken.push_back(
        fmt::format("takes {:.3g} ms a training step ({} multiply-adds), --latency allows {:.3g} "
                    "ms; largest: {}",
                    cost.ms, count_text(cost.macs), *budget.latency_ms,
                    items_text(largest_in_time(contents, 3))));
  throw_error("{} {}", subject, fmt::join(broken, "; it "));
}

}  // namespace attune
