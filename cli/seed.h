#pragma once

#include <CLI/CLI.hpp>

namespace attune::cli {

// What --seed takes: conversion alone would wrap a negative number and cut a large one.
CLI::Validator is_seed();

}  // namespace attune::cli
