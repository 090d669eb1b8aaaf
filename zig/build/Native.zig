//! The native code as one module: layers 1 and 2 in Zig, and the engine's headers for the C++ on top of them.
const Native = @This();

const std = @import("std");
const Engine = @import("Engine.zig");
const Options = @import("Options.zig");
const Module = std.Build.Module;

b: *std.Build,
engine: Engine,
options: Options,

/// The version script's name says what it keeps.
pub const exported_symbols = "zig/build/exported_symbols.map";

pub const Content = enum { with_layers, headers_only };

/// A module that C++ files can be added to, with layers 1 and 2 in Zig or only with the headers for them.
pub fn createModule(native: Native, content: Content) *Module {
    const b = native.b;
    const module = b.createModule(.{
        .root_source_file = if (content == .with_layers) b.path("zig/root.zig") else null,
        .target = native.options.target,
        .optimize = native.options.optimize,
        .strip = native.options.strip,
        .link_libc = true,
        .link_libcpp = true,
        .pic = true,
        .omit_frame_pointer = native.options.optimize != .debug,
        // The engine reads and writes past the ends of what it was given on purpose (padding of its parser and masks).
        .sanitize_c = if (native.options.optimize == .debug) null else .off,
    });
    // Ours before the engine's: these headers stand in for its own.
    module.addIncludePath(b.path("zig/shim"));
    module.addIncludePath(b.path("zig/http/include"));
    module.addIncludePath(b.path("zig/websocket"));
    module.addIncludePath(b.path("zig/usockets"));
    // As system headers, so that warnings are about our code only.
    module.addSystemIncludePath(native.engine.include);
    module.addSystemIncludePath(native.engine.sockets_include);
    return module;
}

/// Flags of every C++ file that includes the engine: its templates must be the same everywhere.
pub fn cppFlags(native: Native) []const []const u8 {
    const common = [_][]const u8{
        "-std=c++20",
        "-fno-exceptions",
        "-fno-rtti",
        "-fvisibility=hidden",
        "-fvisibility-inlines-hidden",
        // The shim composes responses in the engine's cork buffer itself, in one pass, and keeps the engine's
        // per-connection state in step: that state is private to the engine's classes.
        "-fno-access-control",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-DUWS_WITH_PROXY",
    };
    return if (native.options.optimize == .debug) &common else &(common ++ .{"-O3"});
}

pub fn addSharedLibrary(native: Native) *std.Build.Step.Compile {
    const b = native.b;
    const module = native.createModule(.with_layers);
    const sources = shimSources(b) catch |err| std.debug.panic("cannot list zig/shim: {t}", .{err});
    const units = b.addWriteFiles();
    for (std.enums.values(Unit)) |unit| {
        const file = units.add(b.fmt("{t}_unit.cpp", .{unit}), unit.including(b, sources));
        module.addCSourceFile(.{ .file = file, .flags = native.cppFlags() });
    }
    const library = b.addLibrary(.{ .name = "socketify", .linkage = .dynamic, .root_module = module });
    if (native.options.target.result.ofmt == .elf) library.setVersionScript(b.path(exported_symbols));
    native.tune(library);
    return library;
}

/// What every release artifact is linked with.
pub fn tune(native: Native, artifact: *std.Build.Step.Compile) void {
    artifact.link_function_sections = true;
    artifact.link_data_sections = true;
    artifact.link_gc_sections = true;
    if (native.options.lto) artifact.lto = .full;
}

/// The shim's files are compiled together, all of an interface at a time: the engine's templates take four times as long
/// to read as the files themselves. A file belongs to the unit that its name begins with.
const Unit = enum {
    python,
    websocket,
    wsgi,
    /// All that begins with something else.
    http,

    fn of(name: []const u8) Unit {
        const word_end = std.mem.findAny(u8, name, "_.") orelse name.len;
        return std.meta.stringToEnum(Unit, name[0..word_end]) orelse .http;
    }

    /// A C++ file that includes those of the unit.
    fn including(unit: Unit, b: *std.Build, sources: []const []const u8) []const u8 {
        var text: []const u8 = "";
        for (sources) |name| {
            if (of(name) == unit) text = b.fmt("{s}#include \"{s}\"\n", .{ text, name });
        }
        return text;
    }
};

fn shimSources(b: *std.Build) ![]const []const u8 {
    const arena = b.graph.arena;
    const io = b.graph.io;
    b.dependOnDirectoryContents(b.path("zig/shim"));
    var names: std.ArrayList([]const u8) = .empty;
    var directory = try b.root.openDir(io, "zig/shim", .{ .iterate = true });
    defer directory.close(io);
    var entries = directory.iterate();
    while (try entries.next(io)) |entry| {
        if (entry.kind == .file and std.mem.endsWith(u8, entry.name, ".cpp"))
            try names.append(arena, b.graph.dupeString(entry.name));
    }
    // The order of a directory is the file system's; the build's shall always be the same.
    std.mem.sortUnstable([]const u8, names.items, {}, lessThan);
    return names.items;
}

fn lessThan(_: void, a: []const u8, b: []const u8) bool {
    return std.mem.lessThan(u8, a, b);
}
