// Signed plans and checkpoints: what was changed, made by others, or is older than what was taken,
// is refused.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/cli/command.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

// Whether the command was built with libsodium.
bool signs(const Workshop& shop) {
  const auto result = shop.run("sign --new-key mine");
  if (result.status == 0) return true;
  REQUIRE(contains(result.error, "without libsodium"));
  MESSAGE("built without libsodium: signatures are not tested");
  return false;
}

}  // namespace

TEST_CASE("a plan is loaded only with the signature that is asked for") {
  Workshop shop;
  if (!signs(shop)) return;
  shop.compile();
  CHECK((std::filesystem::status(shop.path("mine.secret")).permissions() &
         std::filesystem::perms::all) ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  const std::string predict = "predict net.att one.npy --require-signature mine.public";
  check_refused(shop.run(predict), "net.att.sig: no such file");
  REQUIRE(shop.run("sign net.att --key mine.secret").status == 0);
  CHECK(shop.read("net.att.sig").size() == 128);
  const auto plain = shop.run("predict net.att one.npy");
  const auto signed_one = shop.run(predict);
  CHECK(signed_one.status == 0);
  CHECK(signed_one.out == plain.out);

  // Every byte of both counts.
  const std::string plan = shop.read("net.att"), signature = shop.read("net.att.sig");
  for (const size_t at : {size_t{0}, size_t{100}, plan.size() / 2, plan.size() - 1}) {
    CAPTURE(at);
    std::string changed = plan;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    shop.write("net.att", changed);
    check_refused(shop.run(predict), "is not what was signed");
  }
  shop.write("net.att", plan.substr(0, plan.size() - 1));
  check_refused(shop.run(predict), "is not what was signed");
  shop.write("net.att", plan);
  for (size_t at = 0; at < signature.size(); at += 5) {
    CAPTURE(at);
    std::string changed = signature;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    shop.write("net.att.sig", changed);
    CHECK(shop.run(predict).status == 2);
  }
  shop.write("net.att.sig", signature.substr(0, 127));
  check_refused(shop.run(predict), "none of ours");
  shop.write("net.att.sig", signature);
  CHECK(shop.run(predict).status == 0);

  REQUIRE(shop.run("sign --new-key other").status == 0);
  check_refused(shop.run("inspect net.att --require-signature other.public"), "another key");
  check_refused(shop.run("inspect net.att --require-signature mine.secret"), "is no key");
  check_refused(shop.run("sign --new-key mine"), "exists");
  check_refused(shop.run("sign net.onnx --key mine.secret"), "neither a plan nor a checkpoint");
  check_refused(shop.run("sign net.att"), "--key");
}

TEST_CASE("a checkpoint needs a signature of its own kind") {
  Workshop shop;
  if (!signs(shop)) return;
  shop.compile();
  REQUIRE(shop.run("train net.att --data data.npz --epochs 1 -q").status == 0);
  REQUIRE(shop.run("sign net.att --key mine.secret").status == 0);
  const std::string evaluate =
      "evaluate net.att --data data.npz --checkpoint net.atc --require-signature mine.public";
  check_refused(shop.run(evaluate), "net.atc.sig");
  shop.write("net.atc.sig", shop.read("net.att.sig"));
  check_refused(shop.run(evaluate), "of another kind");
  REQUIRE(shop.run("sign net.atc --key mine.secret").status == 0);
  CHECK(shop.run(evaluate).status == 0);
  const std::string out = "export net.att --model net.onnx --checkpoint net.atc -o adapted.onnx ";
  CHECK(shop.run(out + "--require-signature mine.public").status == 0);
}

TEST_CASE("what is older than what was taken is refused") {
  Workshop shop;
  if (!signs(shop)) return;
  shop.compile();
  const std::string inspect =
      "inspect net.att -q --require-signature mine.public --rollback-guard taken.txt";
  const auto sign = [&](const char* number) {
    REQUIRE(shop.run(std::string("sign net.att --key mine.secret --counter ") + number).status ==
            0);
  };
  sign("7");
  CHECK(shop.run(inspect).status == 0);
  CHECK(contains(shop.read("taken.txt"), " 7\n"));
  CHECK(shop.run(inspect).status == 0);  // the same again
  sign("6");
  check_refused(shop.run(inspect), "is older than what was taken before (number 6, and 7 was)");
  sign("18446744073709551615");
  CHECK(shop.run(inspect).status == 0);
  sign("8");
  check_refused(shop.run(inspect), "is older");
  // A file that is refused changes nothing; a guard that is damaged lets nothing pass.
  CHECK(contains(shop.read("taken.txt"), " 18446744073709551615\n"));
  shop.write("taken.txt", "nonsense\n");
  check_refused(shop.run(inspect), "--rollback-guard taken.txt");
  // Nor does one that cannot be read, and it stays. (Root reads everything.)
  sign("18446744073709551614");
  const std::string taken = shop.path("taken.txt");
  if (geteuid() != 0) {
    const std::string number = "plan 00 1\n";
    shop.write("taken.txt", number);
    std::filesystem::permissions(taken, std::filesystem::perms::owner_write);
    check_refused(shop.run(inspect), "--rollback-guard taken.txt");
    std::filesystem::permissions(taken, std::filesystem::perms::owner_all);
    CHECK(shop.read("taken.txt") == number);
  }
  std::filesystem::remove(taken);
  for (const char* target : {"/dev", "/dev/zero"}) {
    std::filesystem::create_symlink(target, taken);
    check_refused(shop.run(inspect), "--rollback-guard taken.txt");
    std::filesystem::remove(taken);
  }
  // Two at once: who is first is seen by the other, which waits.
  sign("9");
  CHECK(shop.run(inspect).status == 0);
  const int folder = ::open(shop.path("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(flock(folder, LOCK_EX) == 0);
  std::atomic<bool> ended = false;
  Workshop::Result second;
  std::thread other([&] {
    second = shop.run(inspect);
    ended = true;
  });
  std::this_thread::sleep_for(std::chrono::seconds(1));
  CHECK(!ended);
  std::string counters = shop.read("taken.txt");
  counters.replace(counters.rfind(" 9"), 2, " 10");
  shop.write("taken.txt", counters);
  close(folder);
  other.join();
  check_refused(second, "is older than what was taken before (number 9, and 10 was)");
  // Alone it would guard nothing.
  check_refused(shop.run("inspect net.att --rollback-guard other.txt"), "--require-signature");
}

}  // namespace attune::test
