#pragma once

#include <utility>

namespace rowcall::engine {

/// Makes `value` what a new one is and gives its memory back to the allocator. `value = {}` does not: for a container
/// it is the assignment of an empty list, which keeps capacity and buckets, and a string keeps its buffer even when an
/// empty one is moved to it.
template <class T>
void give_back(T& value) {
  [[maybe_unused]] const T old = std::exchange(value, T{});
}

}  // namespace rowcall::engine
