#include "cli/checkpoint_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "graph/ir/error.h"

namespace attune::cli {
namespace {

// Whether the name still is of the open file, and of one that we may have made.
bool still_named(int file, const std::string& path) {
  struct stat open_one, named;
  return fstat(file, &open_one) == 0 && lstat(path.c_str(), &named) == 0 &&
         open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

bool is_empty(int file) {
  struct stat info;
  return fstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == 0;
}

}  // namespace

CheckpointLock::CheckpointLock(const std::string& checkpoint) {
  std::error_code failure;
  // Of the file itself, whatever link it is reached by.
  path_ = std::filesystem::weakly_canonical(std::filesystem::absolute(checkpoint, failure), failure)
              .string();
  if (failure) return;  // what cannot be written is refused by who writes it
  path_ += ".lock";
  // Its last owner may take the name away between opening and locking.
  for (;;) {
    // For writing, without which NFS locks nothing; another user's is there to read.
    const int how = O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    file_ = open(path_.c_str(), how | O_RDWR, 0666);
    if (file_ < 0 && errno == EACCES) file_ = open(path_.c_str(), how | O_RDONLY, 0666);
    if (file_ < 0) return;
    int result;
    do {
      result = flock(file_, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    const bool taken = result != 0 && errno == EWOULDBLOCK;
    if (result == 0 && !still_named(file_, path_)) {
      close(file_);
      continue;
    }
    if (!taken) return;
    close(file_);
    file_ = -1;
    throw_error(
        "{}: another process is training into it; wait until that has ended, or give another "
        "--checkpoint",
        checkpoint);
  }
}

CheckpointLock::~CheckpointLock() {
  if (file_ < 0) return;
  if (is_empty(file_) && still_named(file_, path_)) unlink(path_.c_str());
  close(file_);
}

}  // namespace attune::cli
