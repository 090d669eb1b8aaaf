//! What the io_uring backend knows of a poll by its number, and how a completion names it.
const std = @import("std");
const Poll = @import("poll.zig").Poll;

pub const none = std.math.maxInt(u32);

pub const Operation = enum(u8) { ignored, poll, receive, accept, send };

/// What a completion says of its submission.
pub const Tag = packed struct(u64) {
    slot: u32 = 0,
    operation: Operation = .ignored,
    /// Of polls that were begun in a slot.
    sequence: u8 = 0,
    generation: u16 = 0,
};

pub const Slot = struct {
    poll: ?*Poll = null,
    next_free: u32 = none,
    generation: u16 = 0,
    sequence: u8 = 0,
    /// What the poll under way waits for.
    polled: u16 = 0,
    polling: bool = false,
    /// One that reports changes has reported what it waits for: who waits for it still, or once more, needs a new one.
    told: bool = false,
    /// The operation under way that completes once for every packet, or for every connection of a listener.
    multishot: enum(u8) { no, yes, ending } = .no,
    /// A socket that receives into buffers, not into the loop's memory when it is readable.
    buffered: bool = false,
    small_reads: u8 = 0,
    dirty: bool = false,
    /// Received, while the socket does not read.
    holds: bool = false,
    /// The peer has ended its half.
    half_closed: bool = false,
};
