#include "graph/ir/interrupt.h"

#include <utility>

namespace attune {
namespace {

thread_local const InterruptCheck* current = nullptr;

}  // namespace

InterruptScope::InterruptScope(InterruptCheck check) : check_(std::move(check)), outer_(current) {
  current = &check_;
}

InterruptScope::~InterruptScope() { current = outer_; }

void check_interrupt() {
  if (current) (*current)();
}

}  // namespace attune
