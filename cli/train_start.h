#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "attune/checkpoint.h"
#include "cli/train_options.h"

namespace attune::cli {

// Throws Error, which offers what else can be done, where training would put something in the place
// of a checkpoint that the command does not name as the one to go on with or to throw away.
void check_replacement_is_asked_for(const TrainCommand& command, const Plan& plan);

// Where a run starts.
struct RunStart {
  CheckpointInfo info;  // of a resumed run; else its position alone may count
  std::string note;     // what was taken of another run, for people; empty: nothing
};

// Puts the session where the command says: as compiled, or where --from ended; of a run to resume
// only tells what it is.
RunStart start_run(const TrainCommand& command, Session& session);

}  // namespace attune::cli
