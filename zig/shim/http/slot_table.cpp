#include "http/slot_table.h"

#include <atomic>
#include <cassert>
#include <cstdlib>
#include <mutex>

namespace sk {

namespace {

constexpr uint32_t GENERATION_MAX = (1u << (32 - SLOT_BITS)) - 1;
std::mutex free_list_mutex;
/* Made once, and never freed. The kernel supplies zeroed pages on first touch, so the size costs address space only. */
std::atomic<Slot *> table{nullptr};
uint32_t free_head = SLOT_COUNT;
/* Slot 0 is never used, so that no valid handle is a small number by accident. */
uint32_t untouched = 1;

thread_local char thread_marker;

Slot *tableOf() { return table.load(std::memory_order_acquire); }

/* All else of a slot is its owner's, who alone makes this true or false for himself: others may read nothing but this. */
bool isOwn(const Slot &slot) { return __atomic_load_n(&slot.owner, __ATOMIC_RELAXED) == &thread_marker; }

void setOwner(Slot &slot, const void *owner) { __atomic_store_n(&slot.owner, owner, __ATOMIC_RELAXED); }

} // namespace

const void *threadMarker() { return &thread_marker; }

uint32_t allocateSlot() {
  std::lock_guard<std::mutex> lock(free_list_mutex);
  Slot *slots = tableOf();
  if (!slots) {
    slots = static_cast<Slot *>(calloc(SLOT_COUNT, sizeof(Slot)));
    if (!slots) {
      return SLOT_COUNT;
    }
    table.store(slots, std::memory_order_release);
  }
  uint32_t index = free_head;
  if (index != SLOT_COUNT) {
    free_head = slots[index].next_free;
  } else if (untouched != SLOT_COUNT) {
    index = untouched++;
  } else {
    return SLOT_COUNT;
  }
  Slot &slot = slots[index];
  assert(slot.kind == Kind::Free);
  invalidateHandles(slot);
  setOwner(slot, &thread_marker);
  return index;
}

void releaseSlot(uint32_t index) {
  std::lock_guard<std::mutex> lock(free_list_mutex);
  Slot &slot = slotAt(index);
  assert(slot.kind != Kind::Free);
  assert(slot.kind == Kind::WebSocket || !slot.held);
  slot.kind = Kind::Free;
  slot.held = nullptr;
  slot.socket = nullptr;
  slot.request = nullptr;
  slot.app = nullptr;
  setOwner(slot, nullptr);
  slot.flags = 0;
  slot.stream = false;
  slot.next_free = free_head;
  free_head = index;
}

Slot &slotAt(uint32_t index) {
  assert(index && index < SLOT_COUNT);
  return tableOf()[index];
}

uint32_t indexOf(const Slot &slot) { return static_cast<uint32_t>(&slot - tableOf()); }

uint32_t handleOf(const Slot &slot) { return (slot.generation << SLOT_BITS) | indexOf(slot); }

void invalidateHandles(Slot &slot) { slot.generation = slot.generation == GENERATION_MAX ? 1 : slot.generation + 1; }

Slot *findSlot(uint32_t handle) {
  Slot *slots = tableOf();
  if (!slots) {
    return nullptr;
  }
  Slot &slot = slots[handle & (SLOT_COUNT - 1)];
  bool live = isOwn(slot) && slot.generation == handle >> SLOT_BITS && slot.kind != Kind::Free;
  return live ? &slot : nullptr;
}

uWS::HttpRequest *findRequest(uint32_t handle) {
  Slot *slots = tableOf();
  if (!slots) {
    return nullptr;
  }
  Slot &slot = slots[handle & (SLOT_COUNT - 1)];
  return isOwn(slot) && slot.request_handle == handle ? slot.request : nullptr;
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
