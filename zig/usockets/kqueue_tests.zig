//! The kqueue backend against a model of the kernel: whatever happens in whatever order, it says what epoll would say.
const std = @import("std");
const sys = @import("sys.zig");
const model = @import("kqueue_model.zig");
const KqueueOn = @import("kqueue.zig").KqueueOn;
const poll_module = @import("poll.zig");
const Poll = poll_module.Poll;
const Events = poll_module.Events;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

const Kqueue = KqueueOn(model);
const polls_max = model.fds_max;
const connection_reset = 54;

/// What epoll says of a connection to who is interested in so much of it.
fn epollSays(connection: model.Connection, poll: *const Poll) u32 {
    var events: u32 = 0;
    if (connection.unread > 0 or connection.input_ended) events |= Events.readable;
    if (connection.room or connection.output_ended) events |= Events.writable;
    if (connection.input_ended) events |= Events.half_closed;
    if (connection.failure != 0) events |= Events.failed;
    if (connection.input_ended and connection.output_ended) events |= Events.hung_up;
    const always = Events.failed | Events.hung_up;
    return events & (poll.interest | if (connection.listens) 0 else always);
}

/// A loop whose program does anything at any time, as the socket layer would let it.
const Program = struct {
    kq: Kqueue = .{},
    random: std.Random,
    /// Null where there is no poll; at another place after each move.
    polls: [polls_max]?*Poll = @splat(null),
    /// What a poll will be told in this turn, by its descriptor.
    expected: [polls_max]u32 = @splat(0),
    dispatched: u32 = 0,
    wrong: bool = false,

    fn init(program: *Program, random: std.Random) void {
        model.reset();
        program.* = .{ .random = random };
        _ = program.kq.open();
    }

    fn deinit(program: *Program) void {
        for (program.polls) |each| if (each) |poll| std.testing.allocator.destroy(poll);
        program.kq.close();
    }

    fn chance(program: *Program, of: u32) bool {
        return program.random.uintLessThan(u32, of) == 0;
    }

    fn make(program: *Program, kind: poll_module.Kind) !?*Poll {
        for (program.polls) |each| {
            if (each == null) break;
        } else return null;
        const fd = model.connect(kind == .listener);
        if (kind != .listener) model.setRoom(fd, program.random.boolean());
        const poll = try std.testing.allocator.create(Poll);
        poll.* = .{ .fd = fd, .kind = kind };
        // Whatever was there before.
        poll.slot = program.random.int(u32);
        poll.interest = @intCast(if (kind == .listener) Events.readable else program.anyInterest());
        try expect(program.kq.add(poll));
        program.polls[@intCast(fd)] = poll;
        return poll;
    }

    fn anyInterest(program: *Program) u32 {
        var interest: u32 = 0;
        for ([_]u32{ Events.readable, Events.writable, Events.half_closed }) |each| {
            if (program.random.boolean()) interest |= each;
        }
        return interest;
    }

    fn change(program: *Program, poll: *Poll, interest: u32) void {
        if (poll.interest == interest) return;
        poll.interest = @intCast(interest);
        program.kq.changed(poll);
    }

    fn closePoll(program: *Program, poll: *Poll) void {
        const fd: usize = @intCast(poll.fd);
        program.kq.redirect(poll, null);
        program.kq.remove(poll);
        model.closeDescriptor(poll.fd);
        program.polls[fd] = null;
        program.expected[fd] = 0;
        poll.* = undefined;
        std.testing.allocator.destroy(poll);
    }

    /// To other memory, as when a socket is adopted, or lingers.
    fn move(program: *Program, old: *Poll) !*Poll {
        const new = try std.testing.allocator.create(Poll);
        new.* = if (program.random.boolean()) old.* else blk: {
            var successor = old.successor(.linger);
            successor.interest = @intCast(program.anyInterest());
            break :blk successor;
        };
        program.kq.moved(new);
        program.kq.redirect(old, new);
        program.polls[@intCast(old.fd)] = new;
        old.* = undefined;
        std.testing.allocator.destroy(old);
        return new;
    }

    fn anyPoll(program: *Program) ?*Poll {
        const begin = program.random.uintLessThan(usize, polls_max);
        for (0..polls_max) |offset| {
            if (program.polls[(begin + offset) % polls_max]) |poll| return poll;
        }
        return null;
    }

    /// Something that the program does.
    fn act(program: *Program) !void {
        const poll = program.anyPoll() orelse {
            _ = try program.make(.socket);
            return;
        };
        const listens = poll.kind == .listener;
        switch (program.random.uintLessThan(u32, 8)) {
            0 => _ = try program.make(if (program.chance(4)) .listener else .socket),
            1 => program.closePoll(poll),
            2 => if (!listens) {
                _ = try program.move(poll);
            },
            3 => if (!listens) {
                model.endOutput(poll.fd);
                program.kq.shutDown(poll, sys.shut_wr);
            },
            4 => if (!listens) {
                // Both halves, as where a stream has a gap.
                model.endOutput(poll.fd);
                model.endInput(poll.fd);
                program.kq.shutDown(poll, sys.shut_rdwr);
            },
            else => program.change(poll, if (listens)
                if (program.random.boolean()) Events.readable else 0
            else
                program.anyInterest()),
        }
    }

    /// Something that happens.
    fn happen(program: *Program) void {
        const poll = program.anyPoll() orelse return;
        const fd = poll.fd;
        if (poll.kind == .listener) return model.receive(fd, 1);
        switch (program.random.uintLessThan(u32, 7)) {
            0, 1, 2 => if (!model.connections[@intCast(fd)].input_ended) model.receive(fd, 100),
            3 => model.endInput(fd),
            4 => if (program.chance(3)) model.fail(fd, connection_reset),
            5 => model.setRoom(fd, true),
            else => model.setRoom(fd, false),
        }
    }

    /// What the socket layer does with its events; and anything else before.
    pub fn dispatch(program: *Program, given: *Poll, events: u32) void {
        const fd: usize = @intCast(given.fd);
        program.dispatched += 1;
        if (program.polls[fd] != given or program.expected[fd] == 0 or events & ~program.expected[fd] != 0) program.wrong = true;
        program.expected[fd] = 0;
        program.handle(given, events) catch {
            program.wrong = true;
        };
    }

    fn handle(program: *Program, poll: *Poll, events: u32) !void {
        if (events & Events.failed != 0) return program.closePoll(poll);
        if (events & Events.half_closed != 0) program.change(poll, poll.interest & ~Events.half_closed);
        if (events & Events.hung_up != 0) return program.closePoll(poll);
        if (events & Events.readable != 0) {
            const connection = model.connections[@intCast(poll.fd)];
            // Mostly.
            if (!program.chance(5)) model.drain(poll.fd);
            if (connection.input_ended) program.change(poll, poll.interest & ~Events.readable);
        }
        if (events & Events.writable != 0 and program.random.boolean()) model.setRoom(poll.fd, false);
        if (program.chance(3)) try program.act();
    }

    /// One turn, in which nothing happens by itself: the kqueue says of each poll what epoll would.
    fn turn(program: *Program) !void {
        program.kq.wait(0);
        for (program.polls, &program.expected, 0..) |each, *expected, fd| {
            expected.* = if (each) |poll| epollSays(model.connections[fd], poll) else 0;
            var said: u32 = 0;
            for (program.kq.ready[0..program.kq.ready_count]) |ready| {
                if (each != null and ready.poll == each) {
                    try expectEqual(@as(u32, 0), said);
                    said = ready.events;
                }
            }
            try expectEqual(expected.*, said);
        }
        program.kq.dispatch(program);
        try expect(!program.wrong);
        try expectEqual(@as(u32, 0), model.refused);
    }
};

test "whatever happens, a kqueue says what epoll would say, and to nobody who is gone" {
    for (0..400) |seed| {
        var generator: std.Random.DefaultPrng = .init(seed);
        var program: Program = undefined;
        program.init(generator.random());
        defer program.deinit();
        for (0..200) |_| {
            for (0..program.random.uintLessThan(usize, 4)) |_| try program.act();
            for (0..program.random.uintLessThan(usize, 6)) |_| program.happen();
            try program.turn();
        }
        try expect(program.dispatched > 50);
        // A loop that has nothing to do has a descriptor that is not readable.
        for (program.polls) |each| if (each) |poll| {
            program.change(poll, Events.half_closed);
            program.change(poll, 0);
        };
        program.kq.wait(0);
        program.kq.wait(0);
        try expectEqual(@as(usize, 0), model.queued());
    }
}

fn oneSocket(kq: *Kqueue, poll: *Poll, interest: u32) !void {
    model.reset();
    _ = kq.open();
    poll.* = .{ .fd = model.connect(false), .kind = .socket, .interest = @intCast(interest) };
    model.setRoom(poll.fd, false);
    try expect(kq.add(poll));
}

fn told(kq: *Kqueue, poll: *const Poll) u32 {
    kq.wait(0);
    for (kq.ready[0..kq.ready_count]) |ready| {
        if (ready.poll == poll) return ready.events;
    }
    return 0;
}

test "bytes that nobody wants wake a loop once for each arrival, and those that somebody wants until they are read" {
    var kq: Kqueue = .{};
    var poll: Poll = undefined;
    try oneSocket(&kq, &poll, Events.readable);
    model.receive(poll.fd, 10);
    for (0..3) |_| try expectEqual(Events.readable, told(&kq, &poll));
    poll.interest = @intCast(Events.half_closed);
    kq.changed(&poll);
    kq.wait(0);
    try expectEqual(@as(u32, 0), kq.ready_count);
    try expectEqual(@as(usize, 0), model.queued());
    model.receive(poll.fd, 10);
    try expectEqual(@as(usize, 1), model.queued());
    kq.wait(0);
    try expectEqual(@as(usize, 0), model.queued());
    poll.interest = @intCast(Events.readable);
    kq.changed(&poll);
    try expectEqual(Events.readable, told(&kq, &poll));
    kq.close();
}

test "the end of the peer's half behind bytes that wait, then of ours, and a reset" {
    var kq: Kqueue = .{};
    var poll: Poll = undefined;
    try oneSocket(&kq, &poll, Events.half_closed);
    model.receive(poll.fd, 10);
    model.endInput(poll.fd);
    try expectEqual(Events.half_closed, told(&kq, &poll));
    poll.interest = 0;
    kq.changed(&poll);
    try expectEqual(@as(u32, 0), told(&kq, &poll));
    model.endOutput(poll.fd);
    kq.shutDown(&poll, sys.shut_wr);
    try expectEqual(Events.hung_up, told(&kq, &poll));
    try oneSocket(&kq, &poll, 0);
    model.fail(poll.fd, connection_reset);
    try expectEqual(Events.failed | Events.hung_up, told(&kq, &poll));
    kq.close();
}

test "both filters of a descriptor are one event, and a change is one call" {
    var kq: Kqueue = .{};
    var poll: Poll = undefined;
    try oneSocket(&kq, &poll, Events.readable | Events.writable);
    model.receive(poll.fd, 10);
    model.setRoom(poll.fd, true);
    try expectEqual(Events.readable | Events.writable, told(&kq, &poll));
    try expectEqual(@as(u32, 1), kq.ready_count);
    const before = model.calls;
    poll.interest = 0;
    kq.changed(&poll);
    kq.changed(&poll);
    try expectEqual(before + 1, model.calls);
    // Its end is watched for all the same, and a listener's is not.
    try expectEqual(@as(usize, 1), model.filtersOf(poll.fd));
    poll = .{ .fd = model.connect(true), .kind = .listener, .interest = @intCast(Events.readable) };
    try expect(kq.add(&poll));
    poll.interest = 0;
    kq.changed(&poll);
    try expectEqual(@as(usize, 0), model.filtersOf(poll.fd));
    kq.close();
}

test "another loop is waited for, its events are taken out, and it is watched no more" {
    var kq: Kqueue = .{};
    var poll: Poll = undefined;
    try oneSocket(&kq, &poll, Events.readable);
    var partner: Poll = .{ .fd = model.connect(false), .kind = .partner, .interest = @intCast(Events.readable) };
    try expect(kq.add(&partner));
    model.receive(partner.fd, 1);
    kq.wait(0);
    try expect(kq.takeOut(&partner));
    try expectEqual(@as(u32, 0), kq.ready_count);
    model.receive(poll.fd, 1);
    kq.wait(0);
    try expect(kq.takeOut(&partner));
    try expect(kq.ready_count > 0);
    kq.remove(&partner);
    try expectEqual(@as(usize, 0), model.filtersOf(partner.fd));
    kq.wait(0);
    try expect(!kq.takeOut(&partner));
    kq.close();
}

test "wake-ups are told once, and a timer each time that it is set" {
    var kq: Kqueue = .{};
    model.reset();
    _ = kq.open();
    var wakeup: Poll = .{ .fd = -1, .kind = .wakeup };
    var timer: Poll = .{ .fd = -1, .kind = .timer };
    try expect(kq.addWakeup(&wakeup));
    try expectEqual(@as(u32, 0), told(&kq, &wakeup));
    for (0..3) |_| kq.wake(&wakeup);
    try expectEqual(Events.readable, told(&kq, &wakeup));
    try expectEqual(@as(u32, 0), told(&kq, &wakeup));

    kq.setTimer(&timer, 1000);
    kq.setTimer(&timer, 20);
    try expectEqual(@as(?isize, 20), model.timerOf(@intFromPtr(&timer)));
    try expectEqual(@as(u32, 0), told(&kq, &timer));
    try expect(model.elapse(@intFromPtr(&timer)));
    try expectEqual(Events.readable, told(&kq, &timer));
    try expect(!model.elapse(@intFromPtr(&timer)));
    kq.setTimer(&timer, 5);
    kq.remove(&timer);
    try expect(!model.elapse(@intFromPtr(&timer)));
    // Nothing was set.
    kq.remove(&timer);
    try expectEqual(@as(u32, 0), model.refused);
    kq.close();
}

test "the child of a fork has no kqueue, and asks for nothing" {
    var kq: Kqueue = .{};
    var poll: Poll = undefined;
    try oneSocket(&kq, &poll, Events.readable);
    kq.forget();
    try expectEqual(@as(c_int, -1), kq.fd);
}
