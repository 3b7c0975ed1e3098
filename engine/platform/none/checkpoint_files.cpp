#include "attune/checkpoint.h"

// There are no files: checkpoints go through sources and sinks.
namespace attune {
namespace {

Status no_files(const char* path) {
  return Status::error("%s: there are no files on this system; use a ByteSource or a ByteSink",
                       path);
}

}  // namespace

Status save_checkpoint(const char* path, const Session&, const CheckpointInfo&,
                       std::span<const std::byte>, Replace) {
  return no_files(path);
}
Status load_checkpoint(const char* path, Session&, CheckpointInfo*, CheckpointState) {
  return no_files(path);
}
Status examine_checkpoint(const char* path, const Plan&, CheckpointFacts*) {
  return no_files(path);
}
Status start_from_checkpoint(const char* path, Session&, WarmStart*) { return no_files(path); }
Status check_checkpoint_path(const char* path, const Plan&, Replace) { return no_files(path); }

}  // namespace attune
