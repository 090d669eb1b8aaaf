#include "http/callback.h"

constinit thread_local void (*sk::undo_before_callback)() = nullptr;
