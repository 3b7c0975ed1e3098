#pragma once

#include <CLI/CLI.hpp>

#include "cli/common.h"

// One function a verb, each in the file of its name.
namespace attune::cli {

Verb add_adapt(CLI::App& app);
Verb add_compile(CLI::App& app);
Verb add_inspect(CLI::App& app);
Verb add_train(CLI::App& app);
Verb add_estimate(CLI::App& app);
Verb add_evaluate(CLI::App& app);
Verb add_predict(CLI::App& app);
Verb add_export(CLI::App& app);
Verb add_verify(CLI::App& app);
Verb add_bench(CLI::App& app);
Verb add_sensitivity(CLI::App& app);
Verb add_search(CLI::App& app);
Verb add_profile(CLI::App& app);
Verb add_sign(CLI::App& app);

}  // namespace attune::cli
