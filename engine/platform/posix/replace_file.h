#pragma once

#include <limits.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "attune/byte_stream.h"
#include "attune/status.h"

namespace attune {

// Replaces a file as a whole: what is written goes into a temporary file beside it, which is synced
// and renamed over it, so that a crash, a power cut or a full disk leaves the old file or the new
// one. A link stays a link, and what it leads to is replaced; the mode and, where the system lets
// us, the owner stay. Takes nothing from the heap but for the text of an error.
//
// The temporary is NAME.attune-tmp-N, locked for as long as somebody writes it: one that a killed
// process has left is taken away by who replaces the file next.
class FileReplacement final : public ByteSink {
 public:
  FileReplacement() = default;
  ~FileReplacement();  // what was not committed never was
  FileReplacement(const FileReplacement&) = delete;
  FileReplacement& operator=(const FileReplacement&) = delete;

  // Once only. `path` outlives this. Nothing may be there, or a regular file that may be written.
  Status open(const char* path);
  // Where the file really is.
  const char* target() const { return target_; }
  bool exists() const { return exists_; }

  // Reserves what will come, where the file system can: that it does not fit is known before
  // anything is written.
  bool begin(uint64_t total) override;
  // False after an error, which is remembered.
  bool write(const void* data, size_t bytes) override;
  // The error, where there was one. `keep_old`: the file that was there stays as NAME.old, in place
  // of what had that name.
  Status commit(bool keep_old = false);

 private:
  Status resolve();
  bool create_temporary();
  bool lock_temporary();
  bool remove_stale();
  void keep_mode();
  // The old file's second name, while it becomes NAME.old. Gives `name` back.
  const char* second_name(char (&name)[NAME_MAX + 5]) const;
  Status keep_old_file();
  Status copy_to_old();
  void discard();
  Status failed(const char* what) const;

  const char* path_ = nullptr;
  char target_[PATH_MAX] = {};
  const char* name_ = target_;  // its last part
  char temporary_[NAME_MAX + 1] = {};
  int folder_ = -1, file_ = -1, error_ = 0;
  bool exists_ = false;
  mode_t mode_ = 0;
  uid_t owner_ = 0;
  gid_t group_ = 0;
};

// Takes away the temporaries of all replacements under way: for a handler of a signal that is about
// to end the process.
void remove_temporaries();

}  // namespace attune
