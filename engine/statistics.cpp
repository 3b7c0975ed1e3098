#include "attune/statistics.h"

#include <algorithm>

#include "engine/batch.h"
#include "engine/platform/memory_block.h"
#include "engine/random.h"

namespace attune {

Status estimate_statistics(Session& session, Dataset& data, uint64_t seed) {
  Batch batch;
  ATTUNE_RETURN_IF_ERROR(Batch::bind(session, ProgramKind::estimate, data, &batch));
  const Tensor step = session.port(ProgramKind::estimate, PortRole::step).tensor;
  if (!step)
    return Status::error("%s: estimate has no step; compile the plan again", session.plan().name());
  MemoryBlock block;
  if (!block.allocate(session.allocator(), static_cast<size_t>(data.size()) * sizeof(int32_t)))
    return Status::error("out of memory for the order of the examples");
  int32_t* const order = block.as<int32_t>();
  shuffled_order(Random(seed, 0), data.size(), order);
  int64_t steps = 0;
  for (int64_t first = 0; first < data.size(); first += batch.size()) {
    const int64_t count = std::min(batch.size(), data.size() - first);
    ATTUNE_RETURN_IF_ERROR(batch.fill(data, order, first, count));
    set_scalar(step, static_cast<double>(++steps));
    ATTUNE_RETURN_IF_ERROR(session.run(ProgramKind::estimate));
  }
  return Status::ok();
}

}  // namespace attune
