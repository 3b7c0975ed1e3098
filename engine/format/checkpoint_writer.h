#pragma once

#include <span>

#include "attune/byte_stream.h"
#include "engine/format/checkpoint_format.h"

// How a checkpoint is written, to a file or to a sink of the caller's own.
namespace attune::checkpoint {

// Makes the header. `kept` is the state that the run goes back to, which it must give where it
// keeps the best epoch. An error where that is missing or of another plan, or a trained parameter
// or the optimizer's state is not finite.
Status begin_checkpoint(const char* name, const format::Plan& plan,
                        std::span<const std::byte> state, const CheckpointInfo& info,
                        std::span<const std::byte> kept, Header* header);

// Writes all that the header says: `kept` too, where that is a state of its own. False where the
// sink failed.
bool write_checkpoint(ByteSink& sink, const Header& header, const format::Plan& plan,
                      std::span<const std::byte> state, std::span<const std::byte> kept);

}  // namespace attune::checkpoint
