#include "sparse_update/pipeline/budget.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "graph/ir/error.h"
#include "sparse_update/number_text.h"
#include "sparse_update/pipeline/largest_items.h"

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

std::string parts_text(const Cost& cost) {
  return fmt::format("state {}, arena {}, workspace {}, session {}", count_text(cost.state_bytes),
                     count_text(cost.arena_bytes), count_text(cost.workspace_bytes),
                     count_text(cost.session_bytes));
}

// What to do about too much memory: the largest part decides.
std::string memory_advice(const Cost& cost) {
  if (cost.workspace_bytes >= cost.arena_bytes && cost.workspace_bytes >= cost.state_bytes)
    return "most of it is the kernels' own: --backend reference, simd or eigen take less";
  const bool backend_matters = 4 * cost.workspace_bytes >= cost.ram_bytes();
  if (cost.arena_bytes >= cost.state_bytes)
    return fmt::format("give a smaller --batch-size, {}or a scheme that trains less",
                       backend_matters ? "--backend reference, " : "");
  return "give a scheme that trains less, or --optimizer sgd";
}

}  // namespace

std::vector<double> Budget::shares(const Cost& cost) const {
  const auto share = [](size_t taken, size_t limit) {
    return static_cast<double>(taken) / static_cast<double>(limit);
  };
  std::vector<double> shares;
  if (memory_bytes) shares.push_back(share(cost.ram_bytes(), *memory_bytes));
  if (flash_bytes) shares.push_back(share(cost.flash_bytes(), *flash_bytes));
  if (latency_ms) shares.push_back(cost.train_step_ms / *latency_ms);
  return shares;
}

double Budget::excess(const Cost& cost) const {
  double most = 0;
  for (double share : shares(cost)) most = std::max(most, share);
  return most;
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

void check_budget(const Budget& budget, const Cost& cost, const PlanContents& contents,
                  const std::string& subject) {
  if (budget.allows(cost)) return;
  std::vector<std::string> broken;
  if (budget.memory_bytes && cost.ram_bytes() > *budget.memory_bytes)
    broken.push_back(
        fmt::format("needs {} of memory, --memory allows {}: {}; largest in the arena: {}; {}",
                    exact_bytes_text(cost.ram_bytes()), exact_bytes_text(*budget.memory_bytes),
                    parts_text(cost), largest_in_arena(contents, 3), memory_advice(cost)));
  if (budget.flash_bytes && cost.flash_bytes() > *budget.flash_bytes)
    broken.push_back(fmt::format(
        "needs {} of flash, --flash allows {}: constants {}, program {}; largest: {}",
        exact_bytes_text(cost.flash_bytes()), exact_bytes_text(*budget.flash_bytes),
        count_text(cost.constants_bytes), count_text(cost.flash_bytes() - cost.constants_bytes),
        largest_in_flash(contents, 3)));
  if (budget.latency_ms && cost.train_step_ms > *budget.latency_ms)
    broken.push_back(
        fmt::format("takes {:.3g} ms a training step ({} multiply-adds), --latency allows {:.3g} "
                    "ms; largest: {}",
                    cost.train_step_ms, count_text(cost.train_macs), *budget.latency_ms,
                    largest_in_time(contents, 3)));
  throw_error("{} {}", subject, fmt::join(broken, "; it "));
}

}  // namespace attune
