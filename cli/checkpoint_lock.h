#pragma once

#include <string>

namespace attune::cli {

// Keeps a checkpoint for one process that trains into it, until the lock goes or the process ends.
// Checkpoints are replaced by renaming, so what is locked is a file of its own beside it, which
// goes with the lock (a killed process leaves it, empty, and that stops nobody). Throws Error where
// another process has the checkpoint. A file system that cannot lock keeps nobody out.
class CheckpointLock {
 public:
  explicit CheckpointLock(const std::string& checkpoint);
  ~CheckpointLock();
  CheckpointLock(const CheckpointLock&) = delete;
  CheckpointLock& operator=(const CheckpointLock&) = delete;

 private:
  std::string path_;
  int file_ = -1;
};

}  // namespace attune::cli
