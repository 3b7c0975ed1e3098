#include "sparse_update/cost/target.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "graph/ir/error.h"
#include "sparse_update/json_file.h"

namespace attune {
namespace {

using OrderedJson = nlohmann::ordered_json;

class TargetReader {
 public:
  explicit TargetReader(const std::string& path) : path_(path) {}

  Target read() {
    const nlohmann::json json = read_json_file(path_, "target " + path_);
    check_keys(json, "the file", {"name", "threads", "gflop_s", "bandwidth", "step_us", "points"});
    Target target;
    target.name = text(json, "the file", "name");
    target.threads = static_cast<int>(count(json, "the file", "threads", 1, 1024, 1));
    target.gflop_s = number(json, "the file", "gflop_s", kLeast, kMost);
    target.step_us = number(json, "the file", "step_us", 0, kMost, 0);
    for (const auto& entry : list(json, "bandwidth", true)) {
      check_keys(entry, "an entry of bandwidth", {"bytes", "gb_s"});
      target.bandwidth.push_back({number(entry, "an entry of bandwidth", "bytes", 1, kMost),
                                  number(entry, "an entry of bandwidth", "gb_s", kLeast, kMost)});
    }
    if (target.bandwidth.empty()) fail("bandwidth is empty; give at least one working set");
    std::ranges::sort(target.bandwidth, {}, &Target::Bandwidth::bytes);
    for (const auto& entry : list(json, "points", false)) target.points.push_back(point(entry));
    return target;
  }

 private:
  static constexpr double kLeast = 1e-6, kMost = 1e15;

  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw_error("target {}: {}", path_, fmt::format(format, std::forward<Args>(args)...));
  }

  void check_keys(const nlohmann::json& object, const std::string& label,
                  const std::set<std::string>& known) const {
    if (!object.is_object()) fail("{} is not an object", label);
    for (const auto& [key, value] : object.items())
      if (!known.contains(key))
        fail("{} has the unknown key '{}'; known are {}", label, shown_name(key),
             fmt::join(known, ", "));
  }

  double number(const nlohmann::json& object, const std::string& label, const char* key,
                double least, double most, std::optional<double> otherwise = {}) const {
    if (!object.contains(key)) {
      if (otherwise) return *otherwise;
      fail("{} has no {}", label, key);
    }
    const nlohmann::json& value = object.at(key);
    if (!value.is_number() || value.get<double>() < least || value.get<double>() > most)
      fail("{}: {} is {}, not a number in {} .. {}", label, key, shown_json(value), least, most);
    return value.get<double>();
  }

  uint64_t count(const nlohmann::json& object, const std::string& label, const char* key,
                 double least, double most, std::optional<double> otherwise = {}) const {
    const double value = number(object, label, key, least, most, otherwise);
    if (value != std::floor(value))
      fail("{}: {} is {}, not a whole number", label, key, shown_json(object.at(key)));
    return static_cast<uint64_t>(value);
  }

  std::string text(const nlohmann::json& object, const std::string& label, const char* key) const {
    if (!object.contains(key)) fail("{} has no {}", label, key);
    if (!object.at(key).is_string())
      fail("{}: {} is {}, not a text", label, key, shown_json(object.at(key)));
    return object.at(key).get<std::string>();
  }

  nlohmann::json list(const nlohmann::json& object, const char* key, bool required) const {
    if (!object.contains(key)) {
      if (required) fail("the file has no {}", key);
      return nlohmann::json::array();
    }
    if (!object.at(key).is_array()) fail("{} is not a list", key);
    return object.at(key);
  }

  RatePoint point(const nlohmann::json& entry) const {
    const std::string label = "an entry of points";
    check_keys(entry, label,
               {"op", "backend", "kind", "shape", "macs", "bytes", "program_bytes", "us", "gflop_s",
                "gb_s"});
    RatePoint point;
    const std::string op = text(entry, label, "op");
    const auto* info = std::ranges::find_if(kOps, [&](const OpInfo& i) { return i.name == op; });
    if (info == std::end(kOps)) fail("there is no operator '{}'", shown_name(op));
    point.op = info->op;
    if (entry.contains("backend")) point.backend = backend(text(entry, label, "backend"));
    if (entry.contains("kind")) point.kind = text(entry, label, "kind");
    if (entry.contains("shape")) point.shape = text(entry, label, "shape");
    point.macs = count(entry, label, "macs", 0, kMost, 0);
    point.bytes = count(entry, label, "bytes", 1, kMost);
    point.program_bytes = count(entry, label, "program_bytes", 0, kMost, 0);
    point.us = microseconds(entry, label, point);
    return point;
  }

  Backend backend(const std::string& name) const {
    for (int i = 0; i < kBackendCount; ++i)
      if (backend_name(static_cast<Backend>(i)) == name) return static_cast<Backend>(i);
    fail("there is no backend '{}'; known are reference, eigen, xnnpack, simd", shown_name(name));
  }

  // A time, or the rate that gives it.
  double microseconds(const nlohmann::json& entry, const std::string& label,
                      const RatePoint& point) const {
    int given = 0;
    for (const char* key : {"us", "gflop_s", "gb_s"}) given += entry.contains(key) ? 1 : 0;
    if (given != 1) fail("{} ({}) needs one of us, gflop_s, gb_s", label, op_name(point.op));
    if (entry.contains("us")) return number(entry, label, "us", kLeast, kMost);
    if (entry.contains("gb_s"))
      return 1e-3 * static_cast<double>(point.bytes) / number(entry, label, "gb_s", kLeast, kMost);
    if (point.macs == 0) fail("{} ({}) gives gflop_s without macs", label, op_name(point.op));
    return 2e-3 * static_cast<double>(point.macs) / number(entry, label, "gflop_s", kLeast, kMost);
  }

  std::string path_;
};

double rounded(double value) {  // to four digits: more are noise
  return value > 0 ? std::stod(fmt::format("{:.4g}", value)) : value;
}

}  // namespace

double Target::gb_s(double bytes) const {
  if (bytes <= bandwidth.front().bytes) return bandwidth.front().gb_s;
  for (size_t i = 1; i < bandwidth.size(); ++i) {
    const Bandwidth &low = bandwidth[i - 1], &high = bandwidth[i];
    if (bytes > high.bytes) continue;
    const double place = std::log(bytes / low.bytes) / std::log(high.bytes / low.bytes);
    return low.gb_s * std::pow(high.gb_s / low.gb_s, place);
  }
  return bandwidth.back().gb_s;
}

double Target::roofline_us(uint64_t macs, uint64_t bytes) const {
  const double traffic = static_cast<double>(bytes);
  return std::max(2e-3 * static_cast<double>(macs) / gflop_s, 1e-3 * traffic / gb_s(traffic)) +
         step_us;
}

Target read_target(const std::string& path) { return TargetReader(path).read(); }

std::string target_text(const Target& target) {
  const auto dump = [](const OrderedJson& json) {
    return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  };
  std::vector<std::string> bandwidth, points;
  for (const Target::Bandwidth& b : target.bandwidth)
    bandwidth.push_back(
        dump(OrderedJson{{"bytes", std::llround(b.bytes)}, {"gb_s", rounded(b.gb_s)}}));
  for (const RatePoint& p : target.points) {
    OrderedJson json{{"op", op_name(p.op)}};
    if (p.backend) json["backend"] = backend_name(*p.backend);
    if (p.kind) json["kind"] = *p.kind;
    if (!p.shape.empty()) json["shape"] = p.shape;
    json.update(OrderedJson{{"macs", p.macs}, {"bytes", p.bytes}});
    if (p.program_bytes > 0) json["program_bytes"] = p.program_bytes;
    json["us"] = rounded(p.us);
    points.push_back(dump(json));
  }
  return fmt::format(
      "{{\n  \"name\": {},\n  \"threads\": {},\n  \"gflop_s\": {},\n  \"step_us\": {},\n"
      "  \"bandwidth\": [\n    {}\n  ],\n  \"points\": [\n    {}\n  ]\n}}\n",
      dump(target.name), target.threads, rounded(target.gflop_s), rounded(target.step_us),
      fmt::join(bandwidth, ",\n    "), fmt::join(points, ",\n    "));
}

}  // namespace attune
