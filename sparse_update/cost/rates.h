#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "sparse_update/cost/step_work.h"
#include "sparse_update/cost/target.h"

namespace attune {

// What an estimate rests on.
enum class Basis : uint8_t {
  measured,  // this very step
  similar,   // steps of the same operator, or where there are none, any
  roofline,  // the peak alone
};
constexpr const char* basis_name(Basis basis) {
  constexpr const char* kNames[] = {"measured", "similar", "roofline"};
  return kNames[static_cast<int>(basis)];
}

struct StepTime {
  double us = 0;
  Basis basis = Basis::roofline;
};

// How long steps take on a target. A step that was measured, in a program of about the same size,
// takes what it took. Another one reaches a share of its roofline that lies between those of the
// nearest measured ones: near in the logarithms of multiply-adds, bytes, the sizes of the operands,
// and the bytes that the program moves, and of the same operator, backend and kind as far as there
// are any.
class Rates {
 public:
  explicit Rates(Target target);

  const Target& target() const { return target_; }
  StepTime time(const StepWork& work) const;

 private:
  // In log space: multiply-adds, bytes, the program's, and of three operands; NaN: not known.
  using Place = std::array<double, 6>;
  struct Known {
    Place place;
    double log_share;  // of the roofline
  };
  struct Measured {
    uint64_t program_bytes;
    double us;
  };
  using Class = std::string;  // operator, backend and kind, or fewer of them

  static Place place_of(uint64_t macs, uint64_t bytes, uint64_t program_bytes,
                        const std::string& shape);
  static double distance(const Place& a, const Place& b);
  static std::vector<Class> classes_of(Op op, const std::string* backend, const std::string* kind);
  const Measured* measured(const StepWork& work) const;
  double similar_us(const std::vector<Known>& known, const StepWork& work) const;

  Target target_;
  std::map<std::string, std::vector<Measured>> measured_;  // by operator, backend and shape
  std::map<Class, std::vector<Known>> known_;
};

}  // namespace attune
