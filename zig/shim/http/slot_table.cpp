#include "http/slot_table.h"

#include <cassert>
#include <cstdlib>
#include <mutex>

namespace sk {

namespace {

constexpr uint32_t GENERATION_MAX = (1u << (32 - SLOT_BITS)) - 1;
std::mutex free_list_mutex;
/* The kernel supplies zeroed pages on first touch, so the size costs address space only. */
Slot *table = nullptr;
uint32_t free_head = SLOT_COUNT;
/* Slot 0 is never used, so that no valid handle is a small number by accident. */
uint32_t untouched = 1;

/* Its address identifies the thread. */
thread_local char thread_marker;

} // namespace

uint32_t allocateSlot() {
  std::lock_guard<std::mutex> lock(free_list_mutex);
  if (!table) {
    table = static_cast<Slot *>(calloc(SLOT_COUNT, sizeof(Slot)));
    if (!table) {
      return SLOT_COUNT;
    }
  }
  uint32_t index = free_head;
  if (index != SLOT_COUNT) {
    free_head = table[index].next_free;
  } else if (untouched != SLOT_COUNT) {
    index = untouched++;
  } else {
    return SLOT_COUNT;
  }
  Slot &slot = table[index];
  assert(slot.kind == Kind::Free);
  invalidateHandles(slot);
  slot.owner = &thread_marker;
  return index;
}

void releaseSlot(uint32_t index) {
  std::lock_guard<std::mutex> lock(free_list_mutex);
  Slot &slot = table[index];
  assert(slot.kind != Kind::Free);
  assert(slot.kind == Kind::WebSocket || !slot.held);
  slot.kind = Kind::Free;
  slot.held = nullptr;
  slot.socket = nullptr;
  slot.request = nullptr;
  slot.app = nullptr;
  slot.owner = nullptr;
  slot.flags = 0;
  slot.stream = false;
  slot.next_free = free_head;
  free_head = index;
}

Slot &slotAt(uint32_t index) {
  assert(index && index < SLOT_COUNT);
  return table[index];
}

uint32_t indexOf(const Slot &slot) { return static_cast<uint32_t>(&slot - table); }

uint32_t handleOf(const Slot &slot) { return (slot.generation << SLOT_BITS) | indexOf(slot); }

void invalidateHandles(Slot &slot) { slot.generation = slot.generation == GENERATION_MAX ? 1 : slot.generation + 1; }

Slot *findSlot(uint32_t handle) {
  uint32_t index = handle & (SLOT_COUNT - 1);
  if (!table) {
    return nullptr;
  }
  Slot &slot = table[index];
  bool live = slot.generation == handle >> SLOT_BITS && slot.kind != Kind::Free && slot.owner == &thread_marker;
  return live ? &slot : nullptr;
}

uWS::HttpRequest *findRequest(uint32_t handle) {
  if (!table) {
    return nullptr;
  }
  Slot &slot = table[handle & (SLOT_COUNT - 1)];
  bool own = slot.request && slot.request_handle == handle && slot.owner == &thread_marker;
  return own ? slot.request : nullptr;
}

Slot *findHttpSlot(uint32_t handle) {
  Slot *slot = findSlot(handle);
  return slot && slot->kind == Kind::Http && (slot->flags & PENDING) ? slot : nullptr;
}

Slot *findWebSocketSlot(uint32_t handle) {
  Slot *slot = findSlot(handle);
  return slot && slot->kind == Kind::WebSocket && !(slot->flags & WS_CLOSED) ? slot : nullptr;
}

} // namespace sk
