//! Priorities of RFC 9218: a dictionary of structured fields (RFC 9651), of which two members have a meaning.
const std = @import("std");

pub const Priority = struct {
    urgency: u3 = 3,
    incremental: bool = false,

    /// Of a request that says nothing. RFC 9218 would have these one behind the other; but who knows no priorities does not know
    /// that either, and a stream of events would wait for the end of a download.
    pub const unsaid: Priority = .{ .incremental = true };

    /// What a value says; a member that is not there, or is of another type or range, keeps its default. A value that is no
    /// dictionary is ignored altogether (section 4.1, and RFC 9651 section 4.2).
    pub fn parse(text: []const u8) Priority {
        var parser: Parser = .{ .text = std.mem.trim(u8, text, " ") };
        return parser.dictionary() catch .{};
    }
};

const Item = union(enum) { integer: i64, boolean: bool, other };

const Parser = struct {
    text: []const u8,
    at: usize = 0,

    const Failure = error{Malformed};

    fn dictionary(parser: *Parser) Failure!Priority {
        var priority: Priority = .{};
        while (parser.at < parser.text.len) {
            const name = try parser.key();
            const value: Item = if (parser.take('=')) try parser.itemOrList() else .{ .boolean = true };
            try parser.parameters();
            // Of members with the same key the last one counts.
            if (std.mem.eql(u8, name, "u")) priority.urgency = urgencyOf(value);
            if (std.mem.eql(u8, name, "i")) priority.incremental = value == .boolean and value.boolean;
            parser.skipBlanks();
            if (parser.at == parser.text.len) break;
            if (!parser.take(',')) return error.Malformed;
            parser.skipBlanks();
            // A comma has something behind it.
            if (parser.at == parser.text.len) return error.Malformed;
        }
        return priority;
    }

    fn urgencyOf(value: Item) u3 {
        return switch (value) {
            .integer => |integer| std.math.cast(u3, integer) orelse 3,
            else => 3,
        };
    }

    fn peek(parser: *const Parser) u8 {
        return if (parser.at < parser.text.len) parser.text[parser.at] else 0;
    }

    fn take(parser: *Parser, c: u8) bool {
        if (parser.peek() != c or parser.at == parser.text.len) return false;
        parser.at += 1;
        return true;
    }

    fn skipBlanks(parser: *Parser) void {
        while (parser.take(' ') or parser.take('\t')) {}
    }

    fn key(parser: *Parser) Failure![]const u8 {
        const begin = parser.at;
        if (!std.ascii.isLower(parser.peek()) and parser.peek() != '*') return error.Malformed;
        while (isKeyByte(parser.peek())) parser.at += 1;
        return parser.text[begin..parser.at];
    }

    fn isKeyByte(c: u8) bool {
        return std.ascii.isLower(c) or std.ascii.isDigit(c) or switch (c) {
            '_', '-', '.', '*' => true,
            else => false,
        };
    }

    fn parameters(parser: *Parser) Failure!void {
        while (parser.take(';')) {
            while (parser.take(' ')) {}
            _ = try parser.key();
            if (parser.take('=')) _ = try parser.item();
        }
    }

    fn itemOrList(parser: *Parser) Failure!Item {
        if (!parser.take('(')) return parser.item();
        while (true) {
            while (parser.take(' ')) {}
            if (parser.take(')')) return .other;
            _ = try parser.item();
            try parser.parameters();
            if (parser.peek() != ' ' and parser.peek() != ')') return error.Malformed;
        }
    }

    fn item(parser: *Parser) Failure!Item {
        const first = parser.peek();
        if (first == '-' or std.ascii.isDigit(first)) return parser.number();
        if (parser.take('?')) {
            if (parser.take('1')) return .{ .boolean = true };
            if (parser.take('0')) return .{ .boolean = false };
            return error.Malformed;
        }
        if (parser.take('"')) return parser.string();
        if (parser.take(':')) return parser.bytes();
        if (parser.take('@')) {
            const date = try parser.number();
            return if (date == .integer) .other else error.Malformed;
        }
        if (!std.ascii.isAlphabetic(first) and first != '*') return error.Malformed;
        while (isTokenByte(parser.peek())) parser.at += 1;
        return .other;
    }

    fn isTokenByte(c: u8) bool {
        return std.ascii.isAlphanumeric(c) or (c != 0 and std.mem.indexOfScalar(u8, "!#$%&'*+-.^_`|~:/", c) != null);
    }

    fn digits(parser: *Parser) []const u8 {
        const begin = parser.at;
        while (std.ascii.isDigit(parser.peek())) parser.at += 1;
        return parser.text[begin..parser.at];
    }

    fn number(parser: *Parser) Failure!Item {
        const negative = parser.take('-');
        const whole = parser.digits();
        if (whole.len == 0 or whole.len > 15) return error.Malformed;
        if (parser.take('.')) {
            const fraction = parser.digits();
            if (whole.len > 12 or fraction.len == 0 or fraction.len > 3) return error.Malformed;
            return .other;
        }
        const value = std.fmt.parseInt(i64, whole, 10) catch return error.Malformed;
        return .{ .integer = if (negative) -value else value };
    }

    fn string(parser: *Parser) Failure!Item {
        while (parser.at < parser.text.len) {
            const c = parser.text[parser.at];
            parser.at += 1;
            if (c == '"') return .other;
            if (c == '\\') {
                if (!parser.take('"') and !parser.take('\\')) return error.Malformed;
            } else if (c < 0x20 or c > 0x7e) return error.Malformed;
        }
        return error.Malformed;
    }

    fn bytes(parser: *Parser) Failure!Item {
        while (std.ascii.isAlphanumeric(parser.peek()) or parser.peek() == '+' or parser.peek() == '/' or parser.peek() == '=')
            parser.at += 1;
        return if (parser.take(':')) .other else error.Malformed;
    }
};

test "urgency and incremental are read, and what is not understood is ignored" {
    for ([_]struct { []const u8, u3, bool }{
        .{ "", 3, false },                       .{ "u=0", 0, false },           .{ "u=7, i", 7, true },
        .{ "i", 3, true },                       .{ "i=?0", 3, false },          .{ "i=?1,u=1", 1, true },
        .{ "u=8", 3, false },                    .{ "u=-1", 3, false },          .{ "u=2.5", 3, false },
        .{ "u=\"1\"", 3, false },                .{ "i=1", 3, false },           .{ "u=1, u=5", 5, false },
        .{ "x=(1 2);a, u=2;b=3 ,\ti", 2, true }, .{ "a=:Zm9v:, u=4", 4, false }, .{ "a=\"\\\",\", u=4", 4, false },
        .{ "u=1,", 3, false },                   .{ "u=1 i", 3, false },         .{ "U=1", 3, false },
        .{ "u=1, a=\"", 3, false },              .{ "u=", 3, false },            .{ " u=6 ", 6, false },
        .{ "a=tok/en, d=@12, u=0", 0, false },   .{ "u=1, (", 3, false },        .{ "a=(1, u=1", 3, false },
    }) |each| {
        const found: Priority = .parse(each[0]);
        std.testing.expectEqual(Priority{ .urgency = each[1], .incremental = each[2] }, found) catch |err| {
            std.debug.print("{s}\n", .{each[0]});
            return err;
        };
    }
}
