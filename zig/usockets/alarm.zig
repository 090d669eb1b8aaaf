//! What makes a loop turn without a socket: calls of other threads, and moments.
const has_kqueue = @import("backend.zig").has_kqueue;

const system = if (has_kqueue) @import("alarm_filters.zig") else @import("alarm_descriptors.zig");

pub const repeats = system.repeats;
pub const openWakeup = system.openWakeup;
pub const wake = system.wake;
pub const openTimer = system.openTimer;
pub const set = system.set;
pub const setAt = system.setAt;
pub const fired = system.fired;
