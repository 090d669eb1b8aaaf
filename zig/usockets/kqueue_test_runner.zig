//! Runs the tests of this layer on the kqueue backend, over what Linux has in its place: see `has_kqueue` in backend.zig.
const std = @import("std");
const builtin = @import("builtin");

pub const kqueue_on_linux = true;

pub fn main() !void {
    var failed = false;
    var skipped: u32 = 0;
    for (builtin.test_functions) |each| {
        std.testing.allocator_instance = .init(std.heap.page_allocator, .{});
        each.func() catch |failure| {
            if (failure == error.SkipZigTest) {
                skipped += 1;
                continue;
            }
            failed = true;
            std.debug.print("{s}: {t}\n", .{ each.name, failure });
        };
        if (std.testing.allocator_instance.deinit() != 0) {
            failed = true;
            std.debug.print("{s}: memory is left\n", .{each.name});
        }
    }
    if (failed) std.process.exit(1);
    std.debug.print("{d} tests on a kqueue, {d} skipped\n", .{ builtin.test_functions.len, skipped });
}
