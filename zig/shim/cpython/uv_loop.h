/* A loop of libuv that drives the native loop. */
#ifndef SK_CPYTHON_UV_LOOP_H
#define SK_CPYTHON_UV_LOOP_H

#include "cpython/api.h"

#include <memory>
#include <vector>

namespace sk {

/* Either of both loops waits, and has the other one's descriptor among its own. The one that wakes up more often does: what it has
 * to do, it hears from one system call, and of the other one's from two.
 *
 * Where the native one waits, it does so in the phase of libuv's loop before libuv itself would, and goes on as long as libuv has
 * nothing to do: libuv then only asks without waiting. */
class UvLoop {
public:
  static UvLoop *attach(const sk_uv &uv, Object *context);
  UvLoop(const UvLoop &) = delete;
  UvLoop &operator=(const UvLoop &) = delete;
  /* Libuv waits for good. */
  void giveWay();
  /* Frees this, once libuv has closed its handles; not where its loop was closed before. */
  void detach(bool is_closed);

  /* Bytes before a handle. */
  static constexpr size_t BEFORE = 16;

private:
  UvLoop(const sk_uv &given, Object *given_context);
  ~UvLoop();

  bool open();
  void beforeWait();
  void serve();
  /* How long libuv would wait: not at all while it has something to do. */
  int timeout();
  void lead();
  void follow();
  void run();
  void closed();

  static UvLoop &of(void *handle);
  void *prepare() const { return prepare_memory.get() + BEFORE; }
  void *idle() const { return idle_memory.get() + BEFORE; }
  void *poll() const { return poll_memory.get() + BEFORE; }

  sk_uv uv;
  Object *context;
  std::unique_ptr<char[]> prepare_memory;
  std::unique_ptr<char[]> idle_memory;
  std::unique_ptr<char[]> poll_memory;
  /* Handles of uvloop that make libuv run something after it has waited, which uv_backend_timeout does not tell. */
  std::vector<const void *> others;
  bool leads = false;
  bool may_lead = true;
  /* Libuv is about to wait, and whether it found something for the native loop then. */
  bool waits = false;
  bool had_events = false;
  /* How many of the three handles are open. */
  int open_handles = 0;
  /* Wake-ups for the native loop minus those for libuv, within bounds. */
  int balance = 0;
  /* Libuv had a timer when it was last asked how long to wait. */
  bool timed = false;
  int skipped = 0;
  uint64_t asked_at = 0;
};

} // namespace sk
#endif
