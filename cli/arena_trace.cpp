#include "cli/arena_trace.h"

#include <algorithm>
#include <map>

#include "engine/format/plan_tensor.h"
#include "engine/format/step_check.h"
#include "kernels/attrs.h"

namespace attune::cli {
namespace {

class Tracer {
 public:
  explicit Tracer(const format::Program& program) : program_(program) {}

  ArenaTrace run() {
    for (const format::Port* port : *program_.ports())
      if (is_fed(role_of(*port))) write(port->tensor(), -1);
    const int steps = static_cast<int>(program_.steps()->size());
    for (int s = 0; s < steps; ++s) {
      const format::Step& step = *program_.steps()->Get(static_cast<unsigned>(s));
      const auto inputs = list_of(step.inputs());
      trace_.reads.emplace_back();
      for (size_t i = 0; i < inputs.size(); ++i)
        for (int content : read(bytes_read(step, inputs[i]), s))
          trace_.reads.back().push_back({static_cast<int>(i), content});
      for (int32_t id : list_of(step.outputs())) write(id, s);
      if (s + 1 == program_.repeat_end()) hold_for_repetitions();
    }
    for (const format::Port* port : *program_.ports())
      if (!is_fed(role_of(*port))) read(bytes_of(port->tensor()), steps);
    while (!bytes_.empty()) release(bytes_.begin(), bytes_.begin()->second.last, false);
    count_live(steps);
    return std::move(trace_);
  }

 private:
  // Bytes that hold one content, by their first.
  struct Bytes {
    uint64_t end;
    int content;
    int last;  // step that read them last, or wrote them
  };
  using Map = std::map<uint64_t, Bytes>;

  const format::Tensor* in_arena(int32_t id) const {
    if (id < 0) return nullptr;
    const format::Tensor* tensor = program_.tensors()->Get(static_cast<unsigned>(id));
    return tensor->segment() == format::Segment::arena ? tensor : nullptr;
  }

  void split(uint64_t at) {
    auto next = bytes_.upper_bound(at);
    if (next == bytes_.begin()) return;
    auto& [begin, bytes] = *std::prev(next);
    if (begin == at || bytes.end <= at) return;
    const Bytes rest = bytes;
    bytes.end = at;
    bytes_.emplace_hint(next, at, rest);
  }

  struct Run {
    uint64_t begin, end;
  };
  using Runs = std::vector<Run>;

  // A tensor's bytes in the arena.
  Runs bytes_of(int32_t id) const {
    const format::Tensor* tensor = in_arena(id);
    if (!tensor) return {};
    return {{tensor->offset(), tensor->offset() + described_tensor(*tensor).bytes()}};
  }

  // What a step reads of an input: a slice reads no more than it copies.
  Runs bytes_read(const format::Step& step, int32_t id) const {
    if (static_cast<Op>(step.op()) != Op::slice || !in_arena(id)) return bytes_of(id);
    SliceAttrs attrs;
    decode_attrs(Op::slice, list_of(step.ints()), list_of(step.reals()), &attrs);
    const format::Tensor& x = *in_arena(id);
    const Tensor from = described_tensor(x);
    const Tensor to = described_tensor(
        *program_.tensors()->Get(static_cast<unsigned>(list_of(step.outputs())[0])));
    const auto bytes = [&](int64_t elements) {
      return static_cast<uint64_t>(dtype_bytes(from.dtype, static_cast<size_t>(elements)));
    };
    const int64_t row = from.shape.product(attrs.axis + 1, from.shape.rank);
    const Run whole = bytes_of(id).front();
    Runs runs;
    for (int64_t i = 0; i < from.shape.product(0, attrs.axis); ++i) {
      const uint64_t begin = whole.begin + bytes((i * from.shape[attrs.axis] + attrs.start) * row);
      const uint64_t end = begin + bytes(to.shape[attrs.axis] * row);
      // As fine as memory is planned: a few channels of each pixel would be countless runs.
      const Run run{
          std::max(whole.begin, begin / kTensorAlignment * kTensorAlignment),
          std::min(whole.end, (end + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment)};
      if (!runs.empty() && run.begin <= runs.back().end)
        runs.back().end = run.end;
      else
        runs.push_back(run);
    }
    return runs;
  }

  // What was there before repeated steps, and one of them reads in any repetition, is held until
  // they have run.
  void hold_for_repetitions() {
    const int begin = program_.repeat_begin(), end = program_.repeat_end();
    for (int s = begin; s < end; ++s) {
      const format::Step& step = *program_.steps()->Get(static_cast<unsigned>(s));
      for (int32_t id : list_of(step.inputs()))
        for (const Run& run : read_again(step, id)) {
          const auto [first, last] = held_in(run);
          for (auto at = first; at != last; ++at)
            if (trace_.contents[static_cast<size_t>(at->second.content)].step < begin)
              at->second.last = end - 1;
        }
    }
  }

  // What the repetitions after the first read of an input.
  Runs read_again(const format::Step& step, int32_t id) const {
    const format::Tensor* tensor = in_arena(id);
    if (!tensor || tensor->advance() == 0) return bytes_read(step, id);
    const int count = program_.repeat_count();
    if (count == 1) return {};
    return {
        {offset_in(*tensor, 1), offset_in(*tensor, count - 1) + described_tensor(*tensor).bytes()}};
  }

  // What a run of bytes holds, cut at its ends.
  std::pair<Map::iterator, Map::iterator> held_in(const Run& run) {
    split(run.begin), split(run.end);
    return {bytes_.lower_bound(run.begin), bytes_.lower_bound(run.end)};
  }

  std::vector<int> read(const Runs& runs, int step) {
    std::vector<int> contents;
    for (const Run& run : runs) {
      const auto [first, last] = held_in(run);
      for (auto at = first; at != last; ++at) {
        at->second.last = step;
        if (std::find(contents.begin(), contents.end(), at->second.content) == contents.end())
          contents.push_back(at->second.content);
      }
    }
    for (int content : contents) {
      auto& readers = trace_.contents[static_cast<size_t>(content)].readers;
      if (readers.empty() || readers.back() != step) readers.push_back(step);
    }
    return contents;
  }

  void write(int32_t id, int step) {
    for (const Run& run : bytes_of(id)) {
      const auto [first, last] = held_in(run);
      for (auto at = first; at != last;) {
        const bool handed_over = at->second.last == step && step >= 0;
        const auto old = at++;
        release(old, handed_over ? step - 1 : old->second.last, handed_over);
      }
      bytes_[run.begin] = {run.end, static_cast<int>(trace_.contents.size()), step};
      trace_.contents.push_back({id, step, {}, {}});
    }
  }

  void release(Map::iterator bytes, int last, bool handed_over) {
    ArenaContent& content = trace_.contents[static_cast<size_t>(bytes->second.content)];
    const HeldBytes held{bytes->first, bytes->second.end, content.step, last, handed_over};
    bytes_.erase(bytes);
    if (held.last < held.first) return;  // an output over another of the same step
    content.held.push_back(held);
  }

  // Parts that were cut apart and live alike are one.
  static void merge(std::vector<HeldBytes>& held) {
    std::sort(held.begin(), held.end(),
              [](const HeldBytes& a, const HeldBytes& b) { return a.begin < b.begin; });
    size_t kept = 0;
    for (size_t i = 1; i < held.size(); ++i) {
      HeldBytes& last = held[kept];
      if (last.end == held[i].begin && last.last == held[i].last &&
          last.handed_over == held[i].handed_over)
        last.end = held[i].end;
      else
        held[++kept] = held[i];
    }
    if (!held.empty()) held.resize(kept + 1);
  }

  void count_live(int steps) {
    std::vector<int64_t> change(static_cast<size_t>(steps) + 3);
    for (ArenaContent& content : trace_.contents) {
      merge(content.held);
      for (const HeldBytes& held : content.held) {
        const auto bytes = static_cast<int64_t>(held.end - held.begin);
        change[static_cast<size_t>(held.first + 1)] += bytes;
        change[static_cast<size_t>(held.last + 2)] -= bytes;
      }
    }
    int64_t now = 0;
    for (size_t i = 0; i + 1 < change.size(); ++i)
      trace_.live.push_back(static_cast<uint64_t>(now += change[i]));
  }

  const format::Program& program_;
  ArenaTrace trace_;
  Map bytes_;
};

}  // namespace

int ArenaTrace::peak_step() const {
  return static_cast<int>(std::max_element(live.begin(), live.end()) - live.begin()) - 1;
}

uint64_t ArenaTrace::bytes_at(int content, int step) const {
  uint64_t bytes = 0;
  for (const HeldBytes& held : contents[static_cast<size_t>(content)].held)
    if (held.first <= step && step <= held.last) bytes += held.end - held.begin;
  return bytes;
}

std::vector<int> ArenaTrace::alive_at(int step) const {
  std::vector<std::pair<uint64_t, int>> alive;
  for (int c = 0; c < static_cast<int>(contents.size()); ++c)
    if (const uint64_t bytes = bytes_at(c, step); bytes > 0) alive.emplace_back(bytes, c);
  std::stable_sort(alive.begin(), alive.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<int> result;
  for (const auto& [bytes, content] : alive) result.push_back(content);
  return result;
}

ArenaTrace trace_arena(const format::Program& program) { return Tracer(program).run(); }

}  // namespace attune::cli
