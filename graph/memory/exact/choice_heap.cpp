#include "graph/memory/exact/choice_heap.h"

namespace attune {

void ChoiceHeap::add(double activity) {
  activity_.push_back(activity);
  place_.push_back(kOut);
  push(activity_.size() - 1);
}

size_t ChoiceHeap::pop() {
  const size_t top = heap_.front(), tail = heap_.back();
  place_[top] = kOut;
  heap_.pop_back();
  if (!heap_.empty()) {
    set(0, tail);
    sink(0);
  }
  return top;
}

void ChoiceHeap::push(size_t choice) {
  if (place_[choice] != kOut) return;
  heap_.push_back(choice);
  set(heap_.size() - 1, choice);
  rise(heap_.size() - 1);
}

void ChoiceHeap::bump(size_t choice) {
  activity_[choice] += increment_;
  if (activity_[choice] > kMost) {
    for (double& activity : activity_) activity /= kMost;
    increment_ /= kMost;
  }
  if (place_[choice] != kOut) rise(place_[choice]);
}

void ChoiceHeap::rise(size_t at) {
  const size_t choice = heap_[at];
  while (at > 0) {
    const size_t parent = (at - 1) / 2;
    if (activity_[heap_[parent]] >= activity_[choice]) break;
    set(at, heap_[parent]);
    at = parent;
  }
  set(at, choice);
}

void ChoiceHeap::sink(size_t at) {
  const size_t choice = heap_[at];
  for (size_t child; (child = 2 * at + 1) < heap_.size(); at = child) {
    if (child + 1 < heap_.size() && activity_[heap_[child + 1]] > activity_[heap_[child]]) ++child;
    if (activity_[heap_[child]] <= activity_[choice]) break;
    set(at, heap_[child]);
  }
  set(at, choice);
}

}  // namespace attune
