#include "sparse_update/cost/rates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sparse_update/number_text.h"

namespace attune {
namespace {

constexpr size_t kNearest = 4;
constexpr size_t kEnough = 2;  // points for a class to speak for itself
// Points nearer than this are as good as the same.
constexpr double kNear = 0.03;
// How much the program's bytes count against those of the step.
constexpr double kProgramWeight = 0.5;
// A step was measured if it was in a program that moves at most so many times more or fewer bytes.
constexpr double kSameProgram = 2.5;

// "f32:1x56x56x24*": its bytes; 0 where it is absent or no tensor.
double tensor_bytes(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == text.npos) return 0;
  if (text.ends_with('*')) text.remove_suffix(1);
  size_t elements = 1;
  for (int64_t size : parse_sizes(text.substr(colon + 1), INT64_MAX))
    elements *= static_cast<size_t>(size);
  for (int i = 0; i < kDTypeCount; ++i)
    if (text.substr(0, colon) == dtype_name(static_cast<DType>(i)))
      return static_cast<double>(dtype_bytes(static_cast<DType>(i), elements));
  return 0;
}

// Bytes of the first two inputs and of the first output: for products, what tells the sizes of the
// matrices apart.
std::vector<double> operand_sizes(std::string_view shape) {
  std::vector<double> inputs, outputs;
  bool after_arrow = false;
  shape = shape.substr(0, shape.find(" |"));
  while (!shape.empty()) {
    const size_t space = std::min(shape.find(' '), shape.size());
    const std::string_view word = shape.substr(0, space);
    shape.remove_prefix(std::min(space + 1, shape.size()));
    if (word == ">")
      after_arrow = true;
    else
      (after_arrow ? outputs : inputs).push_back(tensor_bytes(word));
  }
  inputs.resize(2);
  outputs.resize(1);
  return {inputs[0], inputs[1], outputs[0]};
}

std::string measured_key(Op op, const std::string& backend, const std::string& shape) {
  return fmt::format("{}/{}/{}", op_name(op), backend, shape);
}

}  // namespace

Rates::Place Rates::place_of(uint64_t macs, uint64_t bytes, uint64_t program_bytes,
                             const std::string& shape) {
  Place place;
  place.fill(std::nan(""));
  place[0] = std::log1p(static_cast<double>(macs));
  place[1] = std::log1p(static_cast<double>(bytes));
  if (program_bytes > 0) place[2] = kProgramWeight * std::log(static_cast<double>(program_bytes));
  if (shape.empty()) return place;
  const std::vector<double> sizes = operand_sizes(shape);
  std::ranges::transform(sizes, place.begin() + 3, [](double size) { return std::log1p(size); });
  return place;
}

// Over what both have: a point without a shape has no sizes of operands.
double Rates::distance(const Place& a, const Place& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    if (!std::isnan(a[i]) && !std::isnan(b[i])) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

// From the narrowest to any operator at all. A point that leaves something open is in the classes
// that do not ask for it.
std::vector<Rates::Class> Rates::classes_of(Op op, const std::string* backend,
                                            const std::string* kind) {
  std::vector<Class> classes;
  if (backend && kind) classes.push_back(fmt::format("{}/{}/{}", op_name(op), *backend, *kind));
  if (kind) classes.push_back(fmt::format("{}//{}", op_name(op), *kind));
  if (backend) classes.push_back(fmt::format("{}/{}", op_name(op), *backend));
  classes.push_back(op_name(op));
  classes.emplace_back();
  return classes;
}

Rates::Rates(Target target) : target_(std::move(target)) {
  for (const RatePoint& p : target_.points) {
    const std::string backend = p.backend ? backend_name(*p.backend) : "";
    if (!p.shape.empty())
      measured_[measured_key(p.op, backend, p.shape)].push_back({p.program_bytes, p.us});
    const double share = std::log(target_.roofline_us(p.macs, p.bytes) / p.us);
    const Known known{place_of(p.macs, p.bytes, p.program_bytes, p.shape), share};
    for (const Class& c :
         classes_of(p.op, p.backend ? &backend : nullptr, p.kind ? &*p.kind : nullptr))
      known_[c].push_back(known);
  }
}

// The same step, in a program of about the same size: of the nearest size, if there are several.
const Rates::Measured* Rates::measured(const StepWork& work) const {
  const Measured* nearest = nullptr;
  double least = std::log(kSameProgram);
  for (const std::string& of : {std::string(backend_name(work.backend)), std::string()}) {
    const auto found = measured_.find(measured_key(work.op, of, work.shape));
    if (found == measured_.end()) continue;
    for (const Measured& m : found->second) {
      const bool both = m.program_bytes > 0 && work.program_bytes > 0;
      const double apart = both ? std::abs(std::log(static_cast<double>(m.program_bytes) /
                                                    static_cast<double>(work.program_bytes)))
                                : 0;
      if (apart < least) nearest = &m, least = apart;
    }
    if (nearest) break;
  }
  return nearest;
}

StepTime Rates::time(const StepWork& work) const {
  if (const Measured* m = measured(work)) return {m->us, Basis::measured};
  const std::string backend = backend_name(work.backend);
  // The narrowest class of the operator that has enough points, else the few that there are.
  const std::vector<Known>* chosen = nullptr;
  for (const Class& c : classes_of(work.op, &backend, &work.kind)) {
    const auto found = known_.find(c);
    if (found == known_.end()) continue;
    const bool enough = found->second.size() >= kEnough && !c.empty();
    if (!chosen || enough) chosen = &found->second;
    if (enough) break;
  }
  if (!chosen) return {target_.roofline_us(work.macs, work.bytes), Basis::roofline};
  return {similar_us(*chosen, work), Basis::similar};
}

double Rates::similar_us(const std::vector<Known>& known, const StepWork& work) const {
  const Place place = place_of(work.macs, work.bytes, work.program_bytes, work.shape);
  std::vector<std::pair<double, double>> nearest;  // distance, log share
  for (const Known& k : known) nearest.emplace_back(distance(place, k.place), k.log_share);
  const size_t count = std::min(kNearest, nearest.size());
  std::partial_sort(nearest.begin(), nearest.begin() + static_cast<std::ptrdiff_t>(count),
                    nearest.end());
  double weights = 0, sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const double weight = 1 / (nearest[i].first + kNear);
    weights += weight, sum += weight * nearest[i].second;
  }
  return target_.roofline_us(work.macs, work.bytes) / std::exp(sum / weights);
}

}  // namespace attune
