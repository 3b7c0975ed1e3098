#pragma once

#include "engine/c_api/call.h"

namespace attune::c_api {

// How long a call may go on.
class Watch {
 public:
  // `clock` without a function: the system's. Fails where there is a budget and no clock.
  static attune_status start(const attune_control& control, const attune_clock& clock, Watch* watch,
                             attune_error* error);

  // Asks should_continue: ATTUNE_RUNNING, or ATTUNE_STOPPED.
  int32_t ask() const {
    return control_.should_continue && control_.should_continue(control_.context) == 0
               ? ATTUNE_STOPPED
               : ATTUNE_RUNNING;
  }
  bool has_budget() const { return control_.budget_ms > 0; }
  int64_t microseconds() const { return has_budget() ? now() - began_ : 0; }
  // Whether something of so many microseconds may begin.
  bool has_time_for(int64_t wanted) const {
    return !has_budget() || (microseconds() + wanted) / 1000 < control_.budget_ms;
  }
  const attune_control& control() const { return control_; }

 private:
  int64_t now() const;

  attune_control control_ = {};
  attune_clock clock_ = {};
  int64_t began_ = 0;
};

}  // namespace attune::c_api
