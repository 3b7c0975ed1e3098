#include "tests/parity/parity_case.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "graph/ir/error.h"
#include "tests/support/compiled_plan.h"

namespace attune::test {
namespace {

using Json = nlohmann::json;

Optimizer read_optimizer(const Json& json) {
  Optimizer optimizer;
  optimizer.kind = parse_optimizer(json.at("kind"));
  optimizer.momentum = json.value("momentum", optimizer.momentum);
  optimizer.nesterov = json.value("nesterov", optimizer.nesterov);
  optimizer.weight_decay = json.value("weight_decay", optimizer.weight_decay);
  return optimizer;
}

void fill_input(const NpyArray& array, int batch, int step, const Tensor& to) {
  require(convert_elements("data.npz", array, int64_t{step} * to.shape.elements(),
                           to.shape.elements(), to.dtype, {to.as<std::byte>(), to.bytes()}));
  if (to.shape[0] != batch) throw_error("a batch of {}, not {}", to.shape[0], batch);
}

}  // namespace

ParityCase::ParityCase(const std::string& folder) : model(folder + "/model.onnx") {
  std::ifstream file(folder + "/case.json");
  const Json json = Json::parse(file);
  scheme = json.at("scheme");
  if (scheme.ends_with(".json")) scheme = folder + "/" + scheme;
  batch = json.at("batch"), steps = json.at("steps");
  snapshots = json.at("snapshots").get<std::vector<int>>();
  for (const Json& entry : json.at("trained"))
    trained.push_back({entry.at("name"), entry.at("axis"),
                       entry.at("channels").get<std::vector<int64_t>>(), entry.at("f32_error")});
  for (const auto& [key, entry] : json.at("optimizers").items())
    optimizers.push_back({key, read_optimizer(entry), entry.at("learning_rate")});
  require(read_npz(folder + "/data.npz", {}, &data_));
  require(read_npz(folder + "/expected.npz", {}, &expected_));
}

std::vector<double> ParityCase::expected(const std::string& name) const {
  const auto found = expected_.find(name);
  if (found == expected_.end()) throw_error("expected.npz has no '{}'", name);
  const NpyArray& array = found->second;
  std::vector<double> result(static_cast<size_t>(array.elements()));
  require(convert_elements(name, array, 0, array.elements(), DType::f64,
                           std::as_writable_bytes(std::span(result))));
  return result;
}

std::vector<double> ParityCase::gradient(size_t slice) const {
  return expected("grad." + std::to_string(slice));
}

std::vector<double> ParityCase::parameter(const std::string& optimizer, int step,
                                          size_t slice) const {
  return expected(optimizer + "." + std::to_string(step) + "." + std::to_string(slice));
}

void ParityCase::fill(const Session& session, ProgramKind kind, int step) const {
  fill_input(data_.at("x"), batch, step, session.port(kind, PortRole::input).tensor);
  fill_input(data_.at("y"), batch, step, session.input(kind, "labels"));
  fill_input(data_.at("weights"), batch, step, session.input(kind, "weights"));
}

}  // namespace attune::test
