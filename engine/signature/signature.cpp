#include "attune/signature.h"

#include <sodium.h>

#include <bit>
#include <cstddef>
#include <cstring>

namespace attune {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

constexpr char kMagic[8] = {'A', 'T', 'T', 'U', 'N', 'E', 'S', 'G'};
constexpr uint32_t kVersion = 1;

const unsigned char* chars(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}
unsigned char* chars(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

// What is signed: the head of the signature's file, then the file.
crypto_sign_state state_of(const SignatureFile& head, std::span<const std::byte> file) {
  crypto_sign_state state;
  crypto_sign_init(&state);
  crypto_sign_update(&state, reinterpret_cast<const unsigned char*>(&head),
                     offsetof(SignatureFile, signature));
  crypto_sign_update(&state, chars(file.data()), file.size());
  return state;
}

Status ready() {
  return sodium_init() < 0 ? Status::error("libsodium has no source of random numbers")
                           : Status::ok();
}

}  // namespace

Status make_keys(std::span<std::byte, kPublicKeyBytes> public_key,
                 std::span<std::byte, kSecretKeyBytes> secret_key) {
  ATTUNE_RETURN_IF_ERROR(ready());
  crypto_sign_keypair(chars(public_key.data()), chars(secret_key.data()));
  return Status::ok();
}

Status sign(std::span<const std::byte> file, SignedKind kind, uint64_t counter, SecretKey key,
            SignatureFile* signature) {
  ATTUNE_RETURN_IF_ERROR(ready());
  SignatureFile made = {};
  std::memcpy(made.magic, kMagic, sizeof(kMagic));
  made.version = kVersion;
  made.kind = static_cast<uint32_t>(kind);
  made.counter = counter;
  made.file_bytes = file.size();
  std::memcpy(made.key, key.data() + kSecretKeyBytes - kPublicKeyBytes, kPublicKeyBytes);
  crypto_sign_state state = state_of(made, file);
  crypto_sign_final_create(&state, chars(made.signature), nullptr, chars(key.data()));
  *signature = made;
  return Status::ok();
}

Status verify_signature(std::span<const std::byte> file, std::span<const std::byte> signature,
                        SignedKind kind, PublicKey key, uint64_t least_counter, const char* name,
                        uint64_t* counter) {
  ATTUNE_RETURN_IF_ERROR(ready());
  SignatureFile stored;
  if (signature.size() != sizeof(stored) ||
      std::memcmp(signature.data(), kMagic, sizeof(kMagic)) != 0)
    return Status::error("%s: its signature is none of ours; sign it with `attune sign`", name);
  std::memcpy(&stored, signature.data(), sizeof(stored));
  if (stored.version != kVersion)
    return Status::error("%s: its signature has version %u, and this program reads %u", name,
                         stored.version, kVersion);
  if (std::memcmp(stored.key, key.data(), key.size()) != 0)
    return Status::error("%s: is signed with another key than the one that is asked for", name);
  if (stored.kind != static_cast<uint32_t>(kind))
    return Status::error("%s: its signature is of a file of another kind", name);
  crypto_sign_state state = state_of(stored, file);
  if (stored.file_bytes != file.size() ||
      crypto_sign_final_verify(&state, chars(stored.signature), chars(key.data())) != 0)
    return Status::error("%s: is not what was signed; get it again from who made it", name);
  if (stored.counter < least_counter)
    return Status::error(
        "%s: is older than what was taken before (number %llu, and %llu was); get the latest", name,
        static_cast<unsigned long long>(stored.counter),
        static_cast<unsigned long long>(least_counter));
  *counter = stored.counter;
  return Status::ok();
}

}  // namespace attune
