#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <sstream>

#include "tests/cli/arrays.h"
#include "tests/support/onnx_builder.h"

// What the command makes of training that makes a model worse, and of files that cannot be written.
namespace attune::test {
namespace {

double feature(int64_t i) { return std::sin(0.37 * static_cast<double>(i)); }

// 40 examples of the workshop's model, whose class is the sign of their first feature; or something
// is wrong with them.
void write_examples(const Workshop& shop, const std::string& name) {
  const auto x = [&](int64_t i) {
    if (name == "silence") return 0.0;
    if (name == "nan" && i == 50) return std::numeric_limits<double>::quiet_NaN();
    return feature(i);
  };
  const auto y = [&](int64_t i) -> int64_t {
    if (name == "one_class") return 2;
    const int64_t label = feature(4 * i) > 0 ? 0 : 1;
    return name == "rotated" ? (label + 1) % 3 : label;
  };
  write(shop, name + ".npz", {{"x", reals({40, 4}, x)}, {"y", ints({40}, y)}});
}

double loss_of(const Workshop& shop, const std::string& checkpoint) {
  const auto evaluated =
      shop.run("evaluate net.att --data good.npz --json" +
               (checkpoint.empty() ? std::string() : " --checkpoint " + checkpoint));
  REQUIRE_MESSAGE(evaluated.status == 0, evaluated.error);
  return evaluated.json()["loss"];
}

std::vector<nlohmann::json> events(const Workshop& shop, const std::string& log,
                                   const std::string& kind) {
  std::istringstream lines(shop.read(log));
  std::vector<nlohmann::json> found;
  for (std::string line; std::getline(lines, line);)
    if (auto event = nlohmann::json::parse(line); event["event"] == kind) found.push_back(event);
  return found;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("whatever the rate and the data, a checkpoint holds no worse model than was there") {
  Workshop shop;
  shop.compile();
  write_examples(shop, "good");
  const double before = loss_of(shop, "");
  int kept_baseline = 0, better = 0;
  for (const char* name : {"good", "rotated", "silence", "one_class", "nan"}) {
    write_examples(shop, name);
    for (const char* rate : {"0.001", "0.1", "10", "1e5", "1e10"}) {
      CAPTURE(name);
      CAPTURE(rate);
      const auto trained =
          shop.run(std::string("train net.att --validation good.npz --epochs 4 --json --quiet "
                               "--overwrite --checkpoint a.atc --data ") +
                   name + ".npz --learning-rate " + rate);
      if (trained.status != 0) {
        CHECK(trained.status == 2);
        CHECK(count_lines(trained.error) == 1);
        if (!shop.exists("a.atc")) continue;
      }
      const double after = loss_of(shop, "a.atc");
      CHECK(after <= before);
      if (trained.status == 0) {
        CHECK(trained.json()["baseline_validation_loss"].get<double>() == before);
        ++(trained.json()["best_epoch"] == 0 ? kept_baseline : better);
      }
      shop.remove("a.atc");
      if (shop.exists("a.atc.old")) shop.remove("a.atc.old");
    }
  }
  CHECK(kept_baseline > 2);
  CHECK(better > 2);
}

TEST_CASE("training that makes the model worse leaves it as it was, and says so") {
  Workshop shop;
  shop.compile();
  write_examples(shop, "good");
  write_examples(shop, "rotated");
  const std::string options =
      "train net.att --data rotated.npz --validation good.npz --epochs 5 --learning-rate 20 ";
  const auto trained = shop.run(options + "--log log.jsonl");
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  CHECK(contains(trained.error,
                 "attune: training made the model worse on the validation data: "
                 "epoch 0 is kept"));
  CHECK(contains(trained.error, "before  validation loss "));
  CHECK(contains(trained.out, "epoch 0: training made it worse; the model is as it was"));
  CHECK(loss_of(shop, "net.atc") == loss_of(shop, ""));
  const auto baselines = events(shop, "log.jsonl", "baseline");
  REQUIRE(baselines.size() == 1);
  CHECK(baselines[0]["epoch"] == 0);
  CHECK(baselines[0]["validation_loss"].get<double>() == loss_of(shop, ""));
  const auto end = events(shop, "log.jsonl", "end").at(0);
  CHECK(end["kept"] == "best");
  CHECK(end["best_epoch"] == 0);
  CHECK(end["best_validation_loss"] == end["baseline_validation_loss"]);

  // What is exported of it is the model.
  REQUIRE(shop.run("export net.att --model net.onnx --checkpoint net.atc -o same.onnx").status ==
          0);
  REQUIRE(shop.run("compile same.onnx -o same.att --scheme full --batch-size 4").status == 0);
  CHECK(shop.run("evaluate same.att --data good.npz --json").json()["loss"].get<double>() ==
        loss_of(shop, ""));

  // The last epoch, where that is asked for; and no line where nothing was worse.
  const auto last = shop.run(options + "--keep last --overwrite");
  REQUIRE_MESSAGE(last.status == 0, last.error);
  CHECK_FALSE(contains(last.error, "epoch 0"));
  CHECK_FALSE(contains(last.error, "before  validation"));
  CHECK(loss_of(shop, "net.atc") > loss_of(shop, ""));
}

TEST_CASE("a run without validation data says that nothing was held out") {
  Workshop shop;
  shop.compile();
  const std::string note = "attune: nothing is held out, so that nothing tells";
  CHECK(contains(shop.run("train net.att --data data.npz --epochs 1").error, note));
  const auto quiet = shop.run("train net.att --data data.npz --epochs 1 --overwrite --quiet");
  CHECK(quiet.error.empty());
  CHECK_FALSE(
      contains(shop.run("train net.att --data data.npz --epochs 1 --overwrite --validation-split "
                        "0.2")
                   .error,
               note));
}

TEST_CASE("a run that went back tells it") {
  Workshop shop;
  shop.compile();
  // The first step's parameters overflow, until the rate is low enough.
  const auto trained =
      shop.run("train net.att --data data.npz --steps 1 --learning-rate 3e39 --log log.jsonl");
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  const auto rollbacks = events(shop, "log.jsonl", "rollback");
  REQUIRE_FALSE(rollbacks.empty());
  CHECK(contains(trained.error, "step 1: parameters are not finite; back to step 0, with half"));
  CHECK(contains(trained.out, "went back"));
  CHECK(rollbacks[0]["learning_rate"].get<double>() == 3e39 / 2);
  CHECK(rollbacks[0]["rollbacks"] == 1);
  CHECK(rollbacks[0]["not_finite"] == "parameters");
  CHECK(rollbacks[0]["failed_step"] == 1);
  CHECK(rollbacks[0]["step"] == 0);
}

TEST_CASE("data that holds no number ends a run before anything is written") {
  Workshop shop;
  shop.compile();
  write(shop, "none.npz",
        {{"x", reals({8, 4}, [](int64_t) { return std::nan(""); })},
         {"y", ints({8}, [](int64_t i) { return i % 3; })}});
  check_refused(shop.run("train net.att --data none.npz --quiet"), "correct the data");
  CHECK_FALSE(shop.exists("net.atc"));
}

TEST_CASE("a run that is killed within an epoch goes on from its last --checkpoint-steps") {
  Workshop shop;
  shop.compile();
  const std::string options = "train net.att --data data.npz --quiet --threads 1 ";
  REQUIRE(shop.run(options + "--epochs 300 --checkpoint whole.atc").status == 0);
  const pid_t child = shop.start(
      options + "--epochs 300 --checkpoint-steps 7 --checkpoint part.atc --log part.jsonl");
  shop.await_lines(child, "part.jsonl", 100);
  kill(child, SIGKILL);
  const auto killed = shop.wait(child);
  REQUIRE((killed.status == 128 + SIGKILL || killed.status == 0));
  const auto rest = shop.run(options + "--resume part.atc --checkpoint-steps 3 --log rest.jsonl");
  REQUIRE_MESSAGE(rest.status == 0, rest.error);
  CHECK(shop.read("part.atc") == shop.read("whole.atc"));

  // Seven steps into an epoch of ten, where nobody waits for its end.
  const pid_t stopped =
      shop.start(options + "--steps 9 --checkpoint-steps 7 --checkpoint b.atc --log b.jsonl");
  CHECK(shop.wait(stopped).status == 0);
  check_refused(shop.run(options + "--checkpoint-steps 0"), "--checkpoint-steps");
}

TEST_CASE("a run that went back and was killed goes on at its lowered rate, bit for bit") {
  for (const std::string judged : {"", "--validation data.npz "}) {
    CAPTURE(judged);
    Workshop shop;
    shop.compile();
    const std::string data = "train net.att --data data.npz --quiet --threads 1 " + judged;
    const std::string diverges = data + "--learning-rate 1e20 --epochs 300 ";
    const auto whole = shop.run(diverges + "--checkpoint whole.atc --log whole.jsonl");
    REQUIRE_MESSAGE(whole.status == 0, whole.error);
    REQUIRE(events(shop, "whole.jsonl", "rollback").size() > 1);
    const double rate = events(shop, "whole.jsonl", "rollback").back()["learning_rate"];

    const pid_t child =
        shop.start(diverges + "--checkpoint-steps 7 --checkpoint part.atc --log part.jsonl");
    shop.await_lines(child, "part.jsonl", 100);
    kill(child, SIGKILL);
    const auto killed = shop.wait(child);
    REQUIRE((killed.status == 128 + SIGKILL || killed.status == 0));
    const auto rest = shop.run(data + "--resume part.atc --checkpoint-steps 3 --log rest.jsonl");
    REQUIRE_MESSAGE(rest.status == 0, rest.error);
    const double resumed_at = events(shop, "rest.jsonl", "resume").at(0)["learning_rate"];
    CHECK(resumed_at < 1e20);
    CHECK(resumed_at >= rate);
    CHECK(events(shop, "rest.jsonl", "end").at(0)["rollbacks"] ==
          events(shop, "whole.jsonl", "end").at(0)["rollbacks"]);
    CHECK(shop.read("part.atc") == shop.read("whole.atc"));
  }
}

TEST_CASE("a log that cannot be written is told once, and the run goes on") {
  Workshop shop;
  shop.compile();
  const auto full =
      shop.run("train net.att --data data.npz --epochs 3 --quiet --log /dev/full --json");
  CHECK_MESSAGE(full.status == 0, full.error);
  CHECK(full.json()["steps"] == 30);
  CHECK(count_lines(full.error) == 1);
  CHECK(contains(full.error,
                 "--log /dev/full: cannot be written: No space left on device; the run "
                 "goes on without it"));
  CHECK(shop.exists("net.atc"));

  // Its reader leaves after a while.
  REQUIRE(mkfifo(shop.path("pipe").c_str(), 0600) == 0);
  const int reader = ::open(shop.path("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(reader >= 0);
  const pid_t child =
      shop.start("train net.att --data data.npz --epochs 40 --quiet --overwrite --json --log pipe");
  std::string text;
  char piece[512];
  for (int round = 0; round < 2000 && text.size() < 2000; ++round) {
    const ssize_t got = ::read(reader, piece, sizeof(piece));
    if (got > 0) text.append(piece, static_cast<size_t>(got));
    if (got <= 0) usleep(10'000);
  }
  close(reader);
  const auto left = shop.wait(child);
  CHECK_MESSAGE(left.status == 0, left.error);
  CHECK(text.size() >= 2000);
  CHECK(left.json()["steps"] == 400);
  CHECK(count(left.error, "Broken pipe; the run goes on without it") == 1);
}

TEST_CASE("curves that cannot be drawn at the end are told, and the run has ended well") {
  Workshop shop;
  shop.compile();
  std::filesystem::create_directory(shop.path("pictures"));
  const pid_t child = shop.start(
      "train net.att --data data.npz --epochs 300 --quiet --curves pictures/a.svg --log log.jsonl "
      "--json");
  shop.await_lines(child, "log.jsonl", 20);
  std::filesystem::remove(shop.path("pictures"));
  const auto result = shop.wait(child);
  CHECK_MESSAGE(result.status == 0, result.error);
  CHECK(result.json()["epochs"] == 300);
  CHECK(contains(result.error, "pictures/a.svg"));
  CHECK(shop.exists("net.atc"));
}

}  // namespace attune::test
