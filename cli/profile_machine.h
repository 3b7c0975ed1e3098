#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/common.h"
#include "sparse_update/cost/target.h"

namespace attune::cli {

// A plan whose steps are measured.
struct ProfiledPlan {
  std::string name;
  const Plan* plan = nullptr;
};

struct ProfileOptions {
  SessionChoice session;
  int rounds = 3;
  std::string name;  // the machine's; empty: its host name
};

// Describes this machine by its peak, its bandwidths, and the fastest time of every step of some
// plans, where it stands: with its operands in the cache in which the steps before leave them.
// `show` is told what is under way. Throws Error.
Target profile_machine(const std::vector<ProfiledPlan>& plans, const ProfileOptions& options,
                       const std::function<void(const std::string&)>& show);

}  // namespace attune::cli
