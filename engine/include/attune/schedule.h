#pragma once

#include <cstdint>

#include "attune/export.h"
#include "attune/status.h"

namespace attune {

enum class ScheduleKind : uint8_t { constant = 0, step = 1, cosine = 2 };

// The learning rate over a run. Warm-up rises linearly from base / warmup_steps at the first step
// to base; then constant, or base * gamma^(n / every) with n the steps since warm-up, or a cosine
// from base to zero at total_steps.
struct ATTUNE_API Schedule {
  ScheduleKind kind = ScheduleKind::constant;
  double base = 0.01;
  int64_t warmup_steps = 0;
  int64_t every = 1;   // steps, for `step`
  double gamma = 0.1;  // for `step`
  int64_t total_steps = 1;

  // `step` counts from 0.
  double rate(int64_t step) const;
};

// An error where a field has no meaning: a rate that is negative or not finite, an empty interval.
ATTUNE_API Status check_schedule(const Schedule& schedule);

}  // namespace attune
