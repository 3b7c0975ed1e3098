#include "engine/c_api/watch.h"

#include "engine/platform/clock.h"

namespace attune::c_api {

attune_status Watch::start(const attune_control& control, const attune_clock& clock, Watch* watch,
                           attune_error* error) {
  watch->control_ = control;
  watch->clock_ = clock;
  if (!watch->has_budget()) return ATTUNE_OK;
  if (!clock.microseconds && clock_microseconds() < 0)
    return fail(
        error, ATTUNE_ERROR_ARGUMENT,
        "attune_control: a budget needs a clock, which this system has not; give the session "
        "one");
  watch->began_ = watch->now();
  return ATTUNE_OK;
}

int64_t Watch::now() const {
  return clock_.microseconds ? clock_.microseconds(clock_.context) : clock_microseconds();
}

}  // namespace attune::c_api
