#pragma once

#include <optional>
#include <string>
#include <vector>

#include "attune/trainer.h"

namespace attune::cli {

// An epoch of a learning curve.
struct CurvePoint {
  int64_t epoch = 0;
  std::optional<Evaluation> training, validation;  // of one that was only measured, no training
};

// Loss, and accuracy where the model classifies, over the epochs: an SVG document, which holds its
// numbers, too. `best`: the epoch that is kept; 0: none.
std::string curves_picture(const std::vector<CurvePoint>& points, bool classifies, int64_t best,
                           const std::string& title);

// What a picture of curves was drawn from; empty where the file is none.
std::vector<CurvePoint> read_curves(const std::string& path);

// Whether there is such a picture.
bool is_curves_file(const std::string& path);

}  // namespace attune::cli
