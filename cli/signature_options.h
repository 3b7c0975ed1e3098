#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace CLI {
class App;
}

namespace attune::cli {

enum class SignedFile { plan, checkpoint };

// A file's bytes, aligned as a plan must be.
class SignedBytes {
 public:
  SignedBytes() = default;
  explicit SignedBytes(std::span<const std::byte> bytes);
  std::span<const std::byte> bytes() const { return {memory_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  size_t size_ = 0;
  std::unique_ptr<std::byte, Free> memory_;
};

// --require-signature, --rollback-guard: options of verbs that load what others made.
class SignatureOptions {
 public:
  void add(CLI::App* verb);
  bool required() const { return !key_.empty(); }
  // The bytes of a file, once its signature has been verified: what is loaded is what was signed,
  // whatever becomes of the file meanwhile. Throws Error.
  SignedBytes verified(const std::string& path, SignedFile kind) const;

 private:
  std::string key_, guard_;
};

}  // namespace attune::cli
