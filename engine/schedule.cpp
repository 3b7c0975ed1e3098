#include "attune/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace attune {

double Schedule::rate(int64_t step) const {
  if (step < warmup_steps)
    return base * (static_cast<double>(step + 1) / static_cast<double>(warmup_steps));
  const int64_t n = step - warmup_steps;
  switch (kind) {
    case ScheduleKind::constant:
      return base;
    case ScheduleKind::step:
      return base * std::pow(gamma, static_cast<double>(n / every));
    case ScheduleKind::cosine: {
      const int64_t span = std::max<int64_t>(total_steps - warmup_steps, 1);
      if (n >= span) return 0;
      const double turn = static_cast<double>(n) / static_cast<double>(span);
      return 0.5 * base * (1 + std::cos(std::numbers::pi * turn));
    }
  }
  return base;
}

Status check_schedule(const Schedule& schedule) {
  if (schedule.kind > ScheduleKind::cosine)
    return Status::error("schedule: kind %d is not known", static_cast<int>(schedule.kind));
  if (!std::isfinite(schedule.base) || schedule.base < 0)
    return Status::error("learning rate %g is not a number of at least 0", schedule.base);
  if (schedule.warmup_steps < 0)
    return Status::error("warm-up of %lld steps: give 0 or more",
                         static_cast<long long>(schedule.warmup_steps));
  if (schedule.every < 1)
    return Status::error("schedule: a rate that changes every %lld steps: give 1 or more",
                         static_cast<long long>(schedule.every));
  if (!std::isfinite(schedule.gamma) || schedule.gamma < 0)
    return Status::error("schedule: factor %g is not a number of at least 0", schedule.gamma);
  return Status::ok();
}

}  // namespace attune
