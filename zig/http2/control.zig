//! Frames that answer the peer, or keep the connection going, until they are written: bounded, for a peer that does not read.
const std = @import("std");
const Allocator = std.mem.Allocator;
const codes = @import("codes.zig");
const Header = @import("frame.zig").Header;

/// Where frames are written to: the caller's buffer.
pub const Output = extern struct {
    bytes: [*]u8,
    length: usize,
    capacity: usize,

    pub fn room(output: *const Output) []u8 {
        return output.bytes[output.length..output.capacity];
    }

    pub fn append(output: *Output, text: []const u8) void {
        @memcpy(output.room()[0..text.len], text);
        output.length += text.len;
    }
};

pub const Control = struct {
    bytes: std.ArrayList(u8) = .empty,
    /// What was written of it.
    begin: usize = 0,

    pub fn deinit(control: *Control, allocator: Allocator) void {
        control.bytes.deinit(allocator);
    }

    pub fn length(control: *const Control) usize {
        return control.bytes.items.len - control.begin;
    }

    pub fn add(control: *Control, allocator: Allocator, frame: []const u8) Allocator.Error!void {
        if (control.begin == control.bytes.items.len) control.clear();
        try control.bytes.appendSlice(allocator, frame);
    }

    fn clear(control: *Control) void {
        control.bytes.clearRetainingCapacity();
        control.begin = 0;
    }

    /// Whole frames, as many as there is room for. Whether all of them were written.
    pub fn write(control: *Control, output: *Output) bool {
        const waiting = control.bytes.items[control.begin..];
        if (waiting.len == 0) return true;
        var size: usize = 0;
        while (size < waiting.len) {
            const next = size + codes.frame_header_bytes + Header.read(waiting[size..][0..codes.frame_header_bytes]).length;
            if (next > output.room().len) break;
            size = next;
        }
        output.append(waiting[0..size]);
        control.begin += size;
        if (size < waiting.len) return false;
        control.clear();
        return true;
    }

    /// An idle connection keeps nothing.
    pub fn shrink(control: *Control, allocator: Allocator) void {
        if (control.length() > 0) return;
        control.bytes.clearAndFree(allocator);
        control.begin = 0;
    }
};
