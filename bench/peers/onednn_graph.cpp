// A training step as a static graph of oneDNN primitives; arguments and answer are those of
// worker.py.
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/peers/onednn/training_step.h"

namespace {

constexpr int kWarmUps = 2;

struct Options {
  std::string folder, model, scheme, gradients;
  int batch = 1, threads = 1;
  size_t steps = 1;
  double seconds = 1;
};

void parse(int argc, char** argv, Options* options, CLI::App* app) {
  app->add_option("--folder", options->folder, "that export_model.py wrote")->required();
  app->add_option("--model", options->model)->required();
  app->add_option("--scheme", options->scheme)->required();
  app->add_option("--batch", options->batch)->required();
  app->add_option("--threads", options->threads)->required();
  app->add_option("--steps", options->steps, "at most")->required();
  app->add_option("--seconds", options->seconds, "for all steps, about")->required();
  app->add_option("--gradients", options->gradients, "write those of the first step to this file");
  app->parse(argc, argv);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// getrusage would count the program that started this one, if that was larger.
size_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  size_t kilobytes = 0;
  for (std::string word; status >> word;)
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  throw std::runtime_error("no VmHWM in /proc/self/status");
}

// Three steps at least, unless they take very long; then as many as there is time for.
bool enough(const std::vector<double>& times, const Options& options) {
  if (times.size() >= options.steps) return true;
  const double seconds = 1e-3 * std::accumulate(times.begin(), times.end(), 0.0);
  return !times.empty() && seconds >= (times.size() >= 3 ? 1 : 10) * options.seconds;
}

void measure(const Options& options) {
  omp_set_num_threads(options.threads);
  onednn_peer::TrainingStep step(
      onednn_peer::read_description(options.folder, options.model, options.scheme, options.batch),
      !options.gradients.empty());
  std::vector<float> losses;
  for (int i = 0; i < kWarmUps; ++i) {
    losses.push_back(step.run());
    if (i == 0 && !options.gradients.empty()) step.write_gradients(options.gradients);
  }
  std::vector<double> times;
  while (!enough(times, options)) {
    const auto start = std::chrono::steady_clock::now();
    losses.push_back(step.run());
    const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
    times.push_back(ms.count());
  }
  // The same batch over and over: what learns has a smaller loss at the end.
  if (!(losses.back() < losses.front())) throw std::runtime_error("the loss does not fall");
  const dnnl::version_t* version = dnnl::version();
  std::cout << nlohmann::json{{"ms", median(times)},
                              {"memory", peak_resident_bytes()},
                              {"version", std::to_string(version->major) + "." +
                                              std::to_string(version->minor) + "." +
                                              std::to_string(version->patch)},
                              {"losses", losses}}
            << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A training step as a static graph of oneDNN primitives");
  Options options;
  try {
    parse(argc, argv, &options, &app);
    measure(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
