//! Choosing a backend.
const std = @import("std");
const has_kqueue = @import("backend.zig").has_kqueue;
const Loop = @import("loop.zig").Loop;
const expectEqual = std.testing.expectEqual;

extern fn us_backend() c_int;
extern fn us_backend_refusal() c_int;
extern fn us_loop_backend(loop: *Loop) c_int;
extern fn us_loop_free(loop: *Loop) void;
extern fn us_create_loop(hint: ?*anyopaque, wakeup: LoopCallback, pre: LoopCallback, post: LoopCallback, ext: c_uint) ?*Loop;
extern "c" fn setenv(name: [*:0]const u8, value: [*:0]const u8, overwrite: c_int) c_int;
extern "c" fn getenv(name: [*:0]const u8) ?[*:0]const u8;

const LoopCallback = *const fn (*Loop) callconv(.c) void;
const variable = "SOCKETIFY_BACKEND";

fn nothing(_: *Loop) callconv(.c) void {}

test "a forced backend is taken, a wrong name is an error, and without one the loop has what was said before" {
    var memory: [32]u8 = @splat(0);
    const given = std.mem.span(getenv(variable) orelse "");
    @memcpy(memory[0..given.len], given);
    const before: [*:0]const u8 = @ptrCast(&memory);
    defer _ = setenv(variable, before, 1);
    const names = [_][*:0]const u8{ "epoll", "io_uring", "kqueue", "", "EPOLL" };
    const numbers: [names.len]?c_int = if (!has_kqueue) .{ 0, 1, -1, null, -1 } else .{ -1, -1, 2, null, -1 };
    for (names, numbers) |name, wanted| {
        _ = setenv(variable, name, 1);
        const said = us_backend();
        // Where the kernel refuses.
        const refused = wanted == 1 and us_backend_refusal() != 0;
        if (wanted) |number| try expectEqual(if (refused) -2 else number, said);
        const made = us_create_loop(null, nothing, nothing, nothing, 0);
        try expectEqual(said >= 0, made != null);
        const loop = made orelse continue;
        try expectEqual(said, us_loop_backend(loop));
        us_loop_free(loop);
    }
}
