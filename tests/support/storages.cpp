#include "tests/support/storages.h"

namespace attune::test {
namespace {

bool share_a_step(const StorageRange& a, const StorageRange& b) {
  for (const Life& p : a.lives)
    for (const Life& q : b.lives)
      if (p.first <= q.last && q.first <= p.last) return true;
  return false;
}

}  // namespace

bool overlap(const Storage& a, int64_t at_a, const Storage& b, int64_t at_b) {
  for (const StorageRange& p : a.ranges)
    for (const StorageRange& q : b.ranges)
      if (at_a + p.offset < at_b + q.offset + q.bytes &&
          at_b + q.offset < at_a + p.offset + p.bytes && share_a_step(p, q))
        return true;
  return false;
}

}  // namespace attune::test
