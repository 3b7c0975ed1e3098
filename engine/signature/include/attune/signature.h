#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "attune/status.h"

#pragma GCC visibility push(default)  // a shared library shows these
namespace attune {

// Who made a plan or a checkpoint, and that none is taken back: Ed25519 signatures, in a file of
// their own beside what they sign (FILE.sig), so that a runtime that knows nothing of them reads
// the file as ever. Nothing here allocates. Needs libsodium.

enum class SignedKind : uint32_t { plan = 1, checkpoint = 2 };

inline constexpr size_t kPublicKeyBytes = 32, kSecretKeyBytes = 64, kSignatureFileBytes = 128;
using PublicKey = std::span<const std::byte, kPublicKeyBytes>;
using SecretKey = std::span<const std::byte, kSecretKeyBytes>;  // its last half is the public one

// A FILE.sig, little-endian. Signed by Ed25519ph (RFC 8032) is all of it before `signature`, and
// then the file.
struct SignatureFile {
  char magic[8];
  uint32_t version;
  uint32_t kind;
  uint64_t counter;     // rises with each file that its maker gives out
  uint64_t file_bytes;  // of what is signed
  std::byte key[kPublicKeyBytes];
  std::byte signature[64];
};
static_assert(sizeof(SignatureFile) == kSignatureFileBytes);

// Makes a pair of keys.
Status make_keys(std::span<std::byte, kPublicKeyBytes> public_key,
                 std::span<std::byte, kSecretKeyBytes> secret_key);

Status sign(std::span<const std::byte> file, SignedKind kind, uint64_t counter, SecretKey key,
            SignatureFile* signature);

// An error, which starts with `name`, unless `signature` is what the owner of `key` made of these
// bytes, as a file of this kind, with a counter of at least `least_counter`. An application that
// keeps the counter of what it took last refuses everything older: it gives that as
// `least_counter`, and keeps *counter where the file is taken. Load what was verified, from the
// same memory: Plan::from_memory.
Status verify_signature(std::span<const std::byte> file, std::span<const std::byte> signature,
                        SignedKind kind, PublicKey key, uint64_t least_counter, const char* name,
                        uint64_t* counter);

}  // namespace attune
#pragma GCC visibility pop
