#include "cli/signature_options.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <new>
#include <sstream>

#include "attune/plan.h"
#include "cli/output_file.h"
#include "cli/signature_keys.h"
#include "engine/io/file.h"
#include "graph/ir/error.h"

#ifdef ATTUNE_SIGNATURES
#include "attune/signature.h"
#endif

namespace attune::cli {

SignedBytes::SignedBytes(std::span<const std::byte> bytes) : size_(bytes.size()) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kSegmentAlignment, std::max<size_t>(size_, 1)) != 0)
    throw std::bad_alloc();
  memory_.reset(static_cast<std::byte*>(memory));
  std::ranges::copy(bytes, memory_.get());
}

void SignedBytes::Free::operator()(std::byte* memory) const { std::free(memory); }

void SignatureOptions::add(CLI::App* verb) {
  verb->add_option("--require-signature", key_,
                   "Load plans and checkpoints only where FILE.sig beside them is made with this "
                   "key, a .public file of `attune sign --new-key`")
      ->default_str("");
  verb->add_option("--rollback-guard", guard_,
                   "Of --require-signature: a file that keeps the highest number taken, and "
                   "refuses files with a lower one")
      ->default_str("")
      ->needs("--require-signature");  // alone it would guard nothing
}

#ifdef ATTUNE_SIGNATURES

namespace {

// The highest counters that were taken, by kind and key: a line each.
using Counters = std::map<std::pair<std::string, std::string>, uint64_t>;

// Keeps others that lock it out of a guard, from reading it until it is written: else the higher of
// two numbers taken at once may be lost. What is locked is its folder, as the file is replaced; one
// that cannot be locked keeps nobody out.
class GuardLock {
 public:
  explicit GuardLock(const std::string& guard) {
    if (guard.empty()) return;
    std::error_code failure;
    const auto folder =
        std::filesystem::weakly_canonical(std::filesystem::absolute(guard, failure), failure)
            .parent_path();
    folder_ = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (folder_ >= 0 && flock(folder_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~GuardLock() {
    if (folder_ >= 0) close(folder_);
  }
  GuardLock(const GuardLock&) = delete;
  GuardLock& operator=(const GuardLock&) = delete;

 private:
  int folder_ = -1;
};

// Only a file that is not there yet holds none: one that cannot be read would let everything pass,
// and be replaced.
Counters read_counters(const std::string& path) {
  Counters counters;
  std::error_code failure;
  if (std::filesystem::status(path, failure).type() == std::filesystem::file_type::not_found)
    return counters;
  std::vector<std::byte> bytes;
  if (const Status status = read_file(path, {}, &bytes); !status)
    throw_error("--rollback-guard {}", status.message());
  std::istringstream file({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind, key;
    uint64_t counter = 0;
    if (!(words >> kind >> key >> counter))
      throw_error("--rollback-guard {}: '{}' is no line of such a file; give another", path, line);
    uint64_t& highest = counters[{kind, key}];
    highest = std::max(highest, counter);
  }
  return counters;
}

void write_counters(const std::string& path, const Counters& counters) {
  std::string text;
  for (const auto& [place, counter] : counters)
    text += fmt::format("{} {} {}\n", place.first, place.second, counter);
  write_text(path, text);
}

}  // namespace

SignedBytes SignatureOptions::verified(const std::string& path, SignedFile kind) const {
  const std::vector<std::byte> key = read_key(key_, kPublicKeyBytes);
  std::vector<std::byte> bytes, signature;
  throw_if_error(read_file(path, {}, &bytes));
  if (const Status status = read_file(path + ".sig", {}, &signature); !status)
    throw_error("{}; --require-signature wants one", status.message());
  const bool plan = kind == SignedFile::plan;
  const std::pair<std::string, std::string> place(plan ? "plan" : "checkpoint", hex_of(key));
  const GuardLock lock(guard_);
  Counters counters = guard_.empty() ? Counters() : read_counters(guard_);
  const uint64_t least = counters[place];
  uint64_t counter = 0;
  throw_if_error(
      verify_signature(bytes, signature, plan ? SignedKind::plan : SignedKind::checkpoint,
                       PublicKey(key.data(), kPublicKeyBytes), least, path.c_str(), &counter));
  if (!guard_.empty() && counter > least) {
    counters[place] = counter;
    write_counters(guard_, counters);
  }
  return SignedBytes(bytes);
}

#else

SignedBytes SignatureOptions::verified(const std::string&, SignedFile) const {
  throw_error(
      "--require-signature: this program was built without libsodium; install it and build "
      "anew");
}

#endif

}  // namespace attune::cli
