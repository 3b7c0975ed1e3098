#pragma once

#include <span>

#include "attune/byte_stream.h"
#include "engine/format/checkpoint_format.h"

// How a checkpoint is written, to a file or to a sink of the caller's own.
namespace attune::checkpoint {

// An error where a trained parameter or the optimizer's state is not finite, or `best`, where it is
// to be kept apart, is no state of the plan.
Status check_states(const char* name, const Header& header, const format::Plan& plan,
                    std::span<const std::byte> state, std::span<const std::byte> best);

Header make_header(const format::Plan& plan, const CheckpointInfo& info);

// Writes all that the header says: `best` too, where that is a state of its own. False where the
// sink failed.
bool write_checkpoint(ByteSink& sink, const Header& header, const format::Plan& plan,
                      std::span<const std::byte> state, std::span<const std::byte> best);

}  // namespace attune::checkpoint
