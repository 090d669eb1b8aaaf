//! What has arrived and the loop has not come to: it is looked for before connections and listeners are closed for good.
const std = @import("std");
const sys = @import("sys.zig");
const Poll = @import("poll.zig").Poll;
const Events = @import("poll.zig").Events;
const Context = @import("context.zig").Context;
const Completion = @import("ring.zig").Completion;
const listener_module = @import("listener.zig");
const Listener = listener_module.Listener;
const socket_module = @import("socket.zig");
const Flags = socket_module.Flags;
const Socket = socket_module.Socket;
const Uring = @import("backend.zig").Uring;
const uring_slot = @import("uring_slot.zig");
const Operation = uring_slot.Operation;
const Tag = uring_slot.Tag;

/// Whether the socket will receive what its peer has sent already.
pub export fn us_socket_has_input(socket: *const Socket) c_int {
    if (socket.closed() or socket.isCarried() or socket.has(Flags.paused) or socket.has(Flags.ended)) return 0;
    var unread: c_int = 0;
    if (sys.ioctl(socket.poll.fd, sys.fionread, &unread) == 0 and unread > 0) return 1;
    const uring = socket.context.loop.uring() orelse return 0;
    if (!uring.ring.isOwned()) return 0;
    if (uring.slots.items[socket.poll.slot].holds) return 1;
    var completions: Completions = .of(uring);
    while (completions.next(&socket.poll, .receive)) |completion| {
        if (completion.res > 0) return 1;
    }
    return 0;
}

/// Accepts all that wait, as far as there is room, before the context's listeners are closed; `shared` also where other processes
/// accept, too.
pub export fn us_socket_context_accept_waiting(context: *Context, shared: c_int) void {
    var next = context.listeners;
    while (next) |listening| {
        // The open callback may close any of them.
        next = listening.next;
        if (listening.is_shared and shared == 0) continue;
        if (context.loop.uring()) |uring| acceptTaken(uring, listening);
        if (context.listeners == null) return;
        listener_module.accept(listening, @intCast(context.backlog));
        if (context.listeners == null) return;
    }
}

/// Those that the kernel accepted ahead, from which on it accepts no further ones.
fn acceptTaken(uring: *Uring, listening: *Listener) void {
    if (!uring.ring.isOwned()) return;
    listening.poll.remove(uring.loop, Events.readable);
    uring.prepare();
    uring.ring.completeAll();
    var completions: Completions = .of(uring);
    while (completions.next(&listening.poll, .accept)) |completion| {
        const result = completion.res;
        if (result < 0) continue;
        // It is handled.
        completion.res = -@as(i32, @backingInt(sys.Errno.CANCELED));
        listening.accepted(result);
        if (listening.context.listeners == null) return;
    }
}

/// Completions that were not taken out.
const Completions = struct {
    uring: *Uring,
    index: u32,

    fn of(uring: *Uring) Completions {
        return .{ .uring = uring, .index = uring.ring.queues.cq.head.* };
    }

    /// The next one of a poll.
    fn next(completions: *Completions, poll: *const Poll, operation: Operation) ?*Completion {
        const uring = completions.uring;
        const queue = &uring.ring.queues.cq;
        const generation = uring.slots.items[poll.slot].generation;
        while (completions.index != @atomicLoad(u32, queue.tail, .acquire)) {
            const completion = &queue.cqes[completions.index & queue.mask];
            completions.index +%= 1;
            const tag: Tag = @bitCast(completion.user_data);
            if (tag.operation == operation and tag.slot == poll.slot and tag.generation == generation) return completion;
        }
        return null;
    }
};
