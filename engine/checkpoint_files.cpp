#include "attune/checkpoint.h"
#include "engine/format/checkpoint_file.h"

// Checkpoints read from files; checkpoint_write.cpp writes them.
namespace attune {

using checkpoint::FileSource;

Status load_checkpoint(const char* path, Session& session, CheckpointInfo* info,
                       CheckpointState state) {
  FileSource file;
  ATTUNE_RETURN_IF_ERROR(file.open(path));
  return load_checkpoint(file, path, session, info, state);
}

Status examine_checkpoint(const char* path, const Plan& plan, CheckpointFacts* facts) {
  FileSource file;
  ATTUNE_RETURN_IF_ERROR(file.open(path));
  return examine_checkpoint(file, path, plan, facts);
}

Status start_from_checkpoint(const char* path, Session& session, WarmStart* start) {
  FileSource file;
  ATTUNE_RETURN_IF_ERROR(file.open(path));
  return start_from_checkpoint(file, path, session, start);
}

}  // namespace attune
