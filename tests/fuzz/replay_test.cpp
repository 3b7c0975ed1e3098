// The targets of libFuzzer on honest inputs and on thousands that were honest, without libFuzzer:
// in every build, under sanitizers in one of them.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "engine/random.h"
#include "tests/fuzz/targets.h"

namespace attune::fuzz {
namespace {

constexpr Target kTargets[] = {
#define ATTUNE_TARGET_ROW(name) {#name, name},
    ATTUNE_DEVICE_TARGETS(ATTUNE_TARGET_ROW) ATTUNE_HOST_TARGETS(ATTUNE_TARGET_ROW)
#undef ATTUNE_TARGET_ROW
};

// Inputs that are easily got wrong, and what libFuzzer finds; as hexadecimal numbers.
struct Found {
  const char* target;
  const char* hex;
};
constexpr Found kFound[] = {
    {"json", "5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b"},
    {"csv", "613b303b313b320a"},  // a header alone
};

using Bytes = std::vector<std::byte>;

Bytes from_hex(std::string_view hex) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

// A few changes of the kinds that break readers.
Bytes changed(Bytes bytes, const Bytes& other, SplitMix64& random) {
  const auto below = [&](size_t n) { return n == 0 ? 0 : static_cast<size_t>(random.next() % n); };
  for (size_t n = 1 + below(4); n > 0; --n) {
    const size_t at = below(bytes.size());
    const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (bytes.empty() ? 3 : below(8)) {
      case 0:
        bytes[at] ^= static_cast<std::byte>(1 << below(8));
        break;
      case 1:
        bytes[at] = static_cast<std::byte>(random.next());
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.insert(place, static_cast<std::byte>(random.next()));
        break;
      case 4:
        bytes.erase(place, place + static_cast<std::ptrdiff_t>(
                                       below(std::min<size_t>(bytes.size() - at, 16) + 1)));
        break;
      case 5:  // a number that is too large, or just so
        for (size_t i = 0, width = size_t{1} << below(4); i < width && at + i < bytes.size(); ++i)
          bytes[at + i] = static_cast<std::byte>(i + 1 == width ? 0x7f : 0xff);
        break;
      case 6:
        for (size_t i = 0, width = size_t{1} << below(4); i < width && at + i < bytes.size(); ++i)
          bytes[at + i] = std::byte{0};
        break;
      default:  // a part of another
        for (size_t i = 0, from = below(other.size()), length = below(64);
             i < length && at + i < bytes.size() && from + i < other.size(); ++i)
          bytes[at + i] = other[from + i];
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE("no reader of foreign bytes fails on honest ones or on ones that were") {
  const char* asked = std::getenv("ATTUNE_FUZZ_MUTATIONS");
  const int mutations = asked ? std::atoi(asked) : 150;
  std::map<std::string, std::vector<Bytes>> inputs;
  for (Seed& seed : seeds()) inputs[seed.target].push_back(std::move(seed.bytes));
  for (const Target& target : kTargets) {
    CAPTURE(target.name);
    const std::vector<Bytes>& honest = inputs[target.name];
    REQUIRE(!honest.empty());
    target.run({});
    SplitMix64 random(1);
    for (const Bytes& seed : honest) {
      target.run(seed);
      for (int i = 0; i < mutations; ++i)
        target.run(changed(seed, honest[random.next() % honest.size()], random));
    }
  }
}

TEST_CASE("inputs that are easily got wrong break no reader") {
  for (const Found& found : kFound)
    for (const Target& target : kTargets)
      if (std::string(found.target) == target.name) target.run(from_hex(found.hex));
}

TEST_CASE("seeds are written for libFuzzer where it wants them") {
  const char* folder = std::getenv("ATTUNE_FUZZ_SEEDS");
  if (!folder) return;
  int number = 0;
  for (const Seed& seed : seeds()) {
    const auto place = std::filesystem::path(folder) / seed.target;
    std::filesystem::create_directories(place);
    std::ofstream file(place / std::to_string(number++), std::ios::binary);
    file.write(reinterpret_cast<const char*>(seed.bytes.data()),
               static_cast<std::streamsize>(seed.bytes.size()));
    REQUIRE(file.good());
  }
}

}  // namespace attune::fuzz
