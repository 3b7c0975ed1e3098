#pragma once

#include <span>

#include "attune/byte_stream.h"
#include "engine/format/checkpoint_format.h"

// How a checkpoint is written, to a file or to a sink of the caller's own.
namespace attune::checkpoint {

// An error where a trained parameter or the optimizer's state is not finite, or `kept`, where it is
// needed or given, is no state of the plan.
Status check_states(const char* name, const CheckpointInfo& info, const format::Plan& plan,
                    std::span<const std::byte> state, std::span<const std::byte> kept);

// `kept` is the run's kept state, or empty; it is written where it is another than `state`.
Header make_header(const format::Plan& plan, const CheckpointInfo& info,
                   std::span<const std::byte> state, std::span<const std::byte> kept);

// Writes all that the header says: `kept` too, where that is a state of its own. False where the
// sink failed.
bool write_checkpoint(ByteSink& sink, const Header& header, const format::Plan& plan,
                      std::span<const std::byte> state, std::span<const std::byte> kept);

}  // namespace attune::checkpoint
