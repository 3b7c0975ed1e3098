#pragma once

#include <cstdint>

#include "attune/dataset.h"
#include "attune/export.h"
#include "attune/session.h"

namespace attune {

// Replaces the running statistics of every batch norm by averages over the dataset, which needs no
// labels: one pass in an order that `seed` shuffles, each batch counting alike, as PyTorch does
// with a momentum of None. For plans that were compiled with --batch-norm estimate, which have the
// program of that name. Allocates the order of the examples, at the start. After an error the state
// holds averages over a part; Session::reset_state puts it back.
ATTUNE_API Status estimate_statistics(Session& session, Dataset& data, uint64_t seed);

}  // namespace attune
