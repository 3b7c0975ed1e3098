#include "attune/checkpoint.h"
#include "engine/format/checkpoint_writer.h"

namespace attune {

using namespace checkpoint;

bool is_finished(const CheckpointInfo& info) {
  const TrainOptions& options = info.options;
  const bool done = options.steps > 0 ? info.progress.step >= options.steps
                                      : info.progress.epoch >= options.epochs;
  return done || (info.patience > 0 && info.best.measured &&
                  info.measured_epoch - info.best.epoch >= info.patience);
}

Status save_checkpoint(ByteSink& sink, const char* name, const Session& session,
                       const CheckpointInfo& info, std::span<const std::byte> kept) {
  const format::Plan& plan = session.plan().table();
  Header header;
  ATTUNE_RETURN_IF_ERROR(begin_checkpoint(name, plan, session.state(), info, kept, &header));
  if (!write_checkpoint(sink, header, plan, session.state(), kept))
    return Status::error("%s: the checkpoint cannot be written: its writer failed", name);
  return Status::ok();
}

}  // namespace attune
