#include "cpython/uv_loop.h"

#include "cpython/wait.h"
#include "http/engine.h"
#include "http/loop.h"

#include <algorithm>

namespace sk {

namespace {

/* enum uv_handle_type, uv_poll_event */
constexpr int UV_CHECK = 2;
constexpr int UV_IDLE = 6;
constexpr int UV_POLL = 8;
constexpr int UV_PREPARE = 9;
constexpr int UV_READABLE = 1;

/* What every handle of libuv begins with; these members are documented. */
struct UvHandle {
  void *data;
  void *loop;
  int type;
};

/* Turns of libuv, within the same millisecond, in which the native loop is not asked while libuv has something to do. */
constexpr int MOST_SKIPPED = 3;

template <typename Function> Function *as(const void *address) { return reinterpret_cast<Function *>(const_cast<void *>(address)); }

/* Memory for a handle and, before it, the address of who has it: the handle's own member for that must not be used, as uvloop takes
 * what it finds there for an object of its own. */
std::unique_ptr<char[]> newHandle(const sk_uv &uv, int type, UvLoop *owner) {
  auto made = std::make_unique<char[]>(UvLoop::BEFORE + as<size_t(int)>(uv.handle_size)(type));
  memcpy(made.get(), &owner, sizeof(owner));
  return made;
}

/* The lock of the interpreter, as callbacks of libuv run without it. */
class Locked {
public:
  Locked() : state(python.gil_ensure()) {}
  Locked(const Locked &) = delete;
  ~Locked() { python.gil_release(state); }

private:
  int state;
};

} // namespace

UvLoop::UvLoop(const sk_uv &given, Object *given_context)
    : uv(given), context(Ref::borrowed(given_context).release()), prepare_memory(newHandle(given, UV_PREPARE, this)),
      idle_memory(newHandle(given, UV_IDLE, this)), poll_memory(newHandle(given, UV_POLL, this)) {}

UvLoop::~UvLoop() { python.dec_ref(context); }

UvLoop &UvLoop::of(void *handle) {
  UvLoop *owner;
  memcpy(&owner, static_cast<char *>(handle) - BEFORE, sizeof(owner));
  return *owner;
}

UvLoop *UvLoop::attach(const sk_uv &uv, Object *context) {
  if (openLoop() != SK_OK) {
    return nullptr;
  }
  auto *made = new UvLoop(uv, context);
  if (made->open()) {
    return made;
  }
  made->detach(false);
  return nullptr;
}

bool UvLoop::open() {
  auto note = [](void *handle, void *self) {
    auto &of = *static_cast<UvLoop *>(self);
    int type = static_cast<const UvHandle *>(handle)->type;
    if (type == UV_CHECK || type == UV_PREPARE) {
      of.others.push_back(handle);
    }
  };
  as<void(void *, void (*)(void *, void *), void *)>(uv.walk)(uv.loop, note, this);

  using Init = int(void *, void *);
  int fd = us_loop_fd(currentLoop());
  if (as<int(void *, void *, int)>(uv.poll_init)(uv.loop, poll(), fd) != 0) {
    return false;
  }
  as<Init>(uv.prepare_init)(uv.loop, prepare());
  as<Init>(uv.idle_init)(uv.loop, idle());
  for (void *each : {poll(), prepare(), idle()}) {
    as<void(void *)>(uv.unref)(each);
    open_handles++;
  }
  as<int(void *, void (*)(void *))>(uv.prepare_start)(prepare(), [](void *handle) { of(handle).beforeWait(); });
  follow();
  lead();
  return true;
}

void UvLoop::lead() {
  if (!may_lead) {
    return;
  }
  as<int(void *)>(uv.poll_stop)(poll());
  leads = leadLoop(as<int(const void *)>(uv.backend_fd)(uv.loop));
  balance = 0;
  if (!leads) {
    may_lead = false;
    follow();
  }
}

void UvLoop::follow() {
  if (std::exchange(leads, false)) {
    followLoop();
  }
  as<int(void *)>(uv.idle_stop)(idle());
  balance = 0;
  waits = false;
  as<int(void *, int, void (*)(void *, int, int))>(uv.poll_start)(poll(), UV_READABLE, [](void *handle, int, int) {
    of(handle).had_events = true;
    of(handle).run();
  });
}

void UvLoop::giveWay() {
  may_lead = false;
  if (leads) {
    follow();
  }
}

void UvLoop::detach(bool is_closed) {
  if (std::exchange(leads, false)) {
    followLoop();
  }
  /* What libuv still has in its lists then stays, as nobody can tell when it is done with. */
  if (is_closed) {
    return;
  }
  if (!open_handles) {
    delete this;
    return;
  }
  for (void *each : {poll(), prepare(), idle()}) {
    as<void(void *, void (*)(void *))>(uv.close)(each, [](void *handle) { of(handle).closed(); });
  }
}

void UvLoop::closed() {
  if (--open_handles == 0) {
    Locked lock;
    delete this;
  }
}

int UvLoop::timeout() {
  for (const void *each : others) {
    if (as<int(const void *)>(uv.is_active)(each)) {
      return 0;
    }
  }
  /* With a timer, the clock counts; where there was one there will be one, and is asked for once. */
  auto ask = as<int(const void *)>(uv.backend_timeout);
  auto update = as<void(void *)>(uv.update_time);
  if (timed) {
    update(uv.loop);
  }
  int found = ask(uv.loop);
  if (found > 0 && !timed) {
    update(uv.loop);
    found = ask(uv.loop);
  }
  timed = found > 0;
  return found;
}

void UvLoop::run() {
  Locked lock;
  if (!pumpIn(context)) {
    python.write_unraisable(context);
  }
}

void UvLoop::beforeWait() {
  if (leads) {
    serve();
    return;
  }
  if (waits) {
    balance = std::clamp(balance + (had_events ? 1 : -1), -SK_WAIT_AHEAD, SK_WAIT_AHEAD);
  }
  had_events = false;
  waits = timeout() != 0;
  if (balance == SK_WAIT_AHEAD) {
    lead();
    if (leads) {
      serve();
    }
  }
}

void UvLoop::serve() {
  as<int(void *)>(uv.idle_stop)(idle());
  int wait_ms = timeout();
  auto now = as<uint64_t(const void *)>(uv.now);
  if (wait_ms != 0 || now(uv.loop) != asked_at || skipped >= MOST_SKIPPED) {
    skipped = 0;
    do {
      int found = waitLoop(wait_ms);
      as<void(void *)>(uv.update_time)(uv.loop);
      if (found & US_OWN_EVENTS) {
        run();
        if (!leads) {
          return;
        }
      }
      if (found) {
        balance = std::clamp(balance + ((found & US_OWN_EVENTS) != 0) - ((found & US_PARTNER_EVENTS) != 0), -SK_WAIT_AHEAD,
                             SK_WAIT_AHEAD);
      }
      if (found & US_PARTNER_EVENTS) {
        break;
      }
      wait_ms = timeout();
    } while (wait_ms != 0);
    asked_at = now(uv.loop);
  } else {
    skipped++;
  }
  if (balance == -SK_WAIT_AHEAD) {
    follow();
    return;
  }
  as<int(void *, void (*)(void *))>(uv.idle_start)(idle(), [](void *) {});
}

} // namespace sk
