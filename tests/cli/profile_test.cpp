#include <doctest/doctest.h>

#include <map>

#include "tests/cli/command.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

using nlohmann::json;

struct Span {
  double start, end;
  bool holds(const Span& other) const { return start <= other.start && other.end <= end; }
};

// Half a nanosecond, in the file's microseconds: times are whole nanoseconds, in decimal.
constexpr double kRounding = 5e-4;

Span span_of(const json& event) {
  const double start = event["ts"], duration = event["dur"];
  CHECK(start >= 0);
  CHECK(duration >= 0);
  return {start, start + duration};
}

std::vector<json> events_of(const json& trace, const std::string& category) {
  std::vector<json> events;
  for (const json& event : trace["traceEvents"])
    if (event["ph"] == "X" && event["cat"] == category) events.push_back(event);
  return events;
}

}  // namespace

TEST_CASE("a profile holds every step of the plan within its step of the training") {
  Workshop shop;
  shop.compile();
  const auto result = shop.run(
      "train net.att --data data.npz --epochs 2 --validation data.npz --quiet --profile t.json");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  const json trace = json::parse(shop.read("t.json"));
  CHECK(trace["displayTimeUnit"] == "ms");
  const json bench =
      shop.run("bench net.att --repeats 1 --no-peak --program train_step --json").json();
  const json& planned = bench["programs"][0]["steps"];

  const auto steps = events_of(trace, "step");
  REQUIRE(steps.size() == 20);
  CHECK(events_of(trace, "data").size() == 20);
  CHECK(events_of(trace, "checkpoint").size() == 2);
  CHECK(events_of(trace, "evaluate").size() == 3);  // the baseline, two epochs
  for (const json& event : trace["traceEvents"]) {
    CHECK(event["pid"] == 1);
    CHECK(event["tid"] == 1);
  }
  // In the order in which they ended: a step's parts, then the step; nothing overlaps.
  size_t at = 0;
  double last_end = 0;
  const json& all = trace["traceEvents"];
  while (all[at]["ph"] == "M") ++at;
  for (size_t s = 0; s < steps.size(); ++s) {
    CAPTURE(s);
    CHECK(steps[s]["name"] == "step " + std::to_string(s + 1));
    Span step = span_of(steps[s]);
    step.end += kRounding;
    while (all[at]["cat"] == "checkpoint" || all[at]["cat"] == "evaluate") {
      const Span span = span_of(all[at++]);
      CHECK(span.start >= last_end - kRounding);
      last_end = span.end;
    }
    CHECK(step.start >= last_end - kRounding);
    const json& read = all[at++];
    CHECK(read["cat"] == "data");
    CHECK(step.holds(span_of(read)));
    last_end = span_of(read).end;
    for (size_t i = 0; i < planned.size(); ++i) {
      const json& event = all[at++];
      CHECK(event["name"] == planned[i]["name"]);
      CHECK(event["cat"] == planned[i]["phase"]);
      CHECK(event["args"]["step"] == i);
      CHECK(event["args"]["operator"] == planned[i]["op"]);
      CHECK(event["args"]["macs"] == planned[i]["macs"]);
      CHECK(event["args"]["bytes"] == planned[i]["bytes"]);
      const Span span = span_of(event);
      CHECK(step.holds(span));
      CHECK(span.start >= last_end - kRounding);
      last_end = span.end;
    }
    CHECK(all[at++] == steps[s]);
    last_end = span_of(steps[s]).end;
  }
}

TEST_CASE("a profile ends after fifty steps and changes no bit of the training") {
  Workshop shop;
  shop.compile();
  REQUIRE(shop.run("train net.att --data data.npz --steps 63 --quiet").status == 0);
  const std::string plain = shop.read("net.atc");
  REQUIRE(shop.run("train net.att --data data.npz --steps 63 --quiet --checkpoint p.atc "
                   "--profile t.json")
              .status == 0);
  CHECK(shop.read("p.atc") == plain);
  const json trace = json::parse(shop.read("t.json"));
  CHECK(events_of(trace, "step").size() == 50);
  // One after each of five epochs, the last of them with step 50.
  CHECK(events_of(trace, "checkpoint").size() == 5);
}

TEST_CASE("a profile replaces a profile and nothing else") {
  Workshop shop;
  shop.compile();
  const std::string train = "train net.att --data data.npz --steps 1 --quiet --json --overwrite --profile ";
  REQUIRE(shop.run(train + "t.json").status == 0);
  REQUIRE(shop.run(train + "t.json").status == 0);
  shop.remove("net.atc");
  shop.write("notes.json", "{\"mine\": 1}");
  check_refused(shop.run(train + "notes.json"), "is not a trace");
  CHECK(shop.read("notes.json") == "{\"mine\": 1}");
  check_refused(shop.run(train + "net.att"), "is not a trace");
  check_refused(shop.run(train + "nowhere/t.json"), "folder does not exist");
  check_refused(shop.run(train + "net.atc"), "give each a file of its own");
  check_refused(shop.run(train + "a.json --log a.json"), "give each a file of its own");
  CHECK_FALSE(shop.exists("net.atc"));
  CHECK_FALSE(shop.exists("a.json"));
}

}  // namespace attune::test
