//! The native code: layers 1 and 2 in Zig, and the C++ on top of them, which includes the engine's headers.
const Native = @This();

const std = @import("std");
const Engine = @import("Engine.zig");
const Options = @import("Options.zig");
const LazyPath = std.Build.LazyPath;
const Module = std.Build.Module;

b: *std.Build,
engine: Engine,
options: Options,

/// The version script's name says what it keeps.
pub const exported_symbols = "zig/build/exported_symbols.map";

pub const Content = enum {
    /// Layers 1 and 2, in Zig.
    layers,
    /// C++ that includes the engine.
    cpp,
    /// What is compiled already: it waits for no headers.
    objects,
};

/// A module for one kind of content.
pub fn createModule(native: Native, content: Content) *Module {
    const b = native.b;
    const module = b.createModule(.{
        .root_source_file = if (content == .layers) b.path("zig/root.zig") else null,
        .target = native.options.target,
        .optimize = native.options.optimize,
        .strip = native.options.strip,
        .link_libc = true,
        .link_libcpp = content != .layers,
        .pic = true,
        .omit_frame_pointer = native.options.optimize != .debug and !native.options.checks,
        .sanitize_c = if (native.options.checks) .full else .off,
    });
    if (content != .cpp) return module;
    for (native.includePaths()) |path| module.addIncludePath(path);
    for (native.systemIncludePaths()) |path| module.addSystemIncludePath(path);
    return module;
}

/// Ours, looked into before the engine's: these headers stand in for its own.
pub fn includePaths(native: Native) [6]LazyPath {
    const b = native.b;
    return .{
        b.path("zig/shim"),
        b.path("zig/http/include"),
        b.path("zig/websocket"),
        b.path("zig/sending"),
        b.path("zig/usockets"),
        b.path("zig/carrier"),
    };
}

/// The engine's. As system headers, so that warnings are about our code only.
pub fn systemIncludePaths(native: Native) [2]LazyPath {
    return .{ native.engine.include, native.engine.sockets_include };
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
    if (native.options.checks) return &(common ++ .{"-UNDEBUG"});
    return if (native.options.optimize == .debug) &common else &(common ++ .{"-O3"});
}

/// In parts, which are compiled side by side: one step of the build compiles one file at a time on two cores.
pub fn addSharedLibrary(native: Native) *std.Build.Step.Compile {
    const b = native.b;
    const module = native.createModule(.objects);
    module.addObject(native.addLayers());
    module.addObject(native.addUnit("abi", native.abiUnit()));
    for (std.enums.values(Unit), native.shimUnits()) |unit, file| module.addObject(native.addUnit(@tagName(unit), file));
    const library = b.addLibrary(.{ .name = "socketify", .linkage = .dynamic, .root_module = module });
    // Zig's linker for Mach-O knows no list of symbols: what the socket layer gives to the shim is exported there as well.
    // Nobody is bound to it by accident, as names have two levels there; but for operators new and delete, which are weak, so
    // that all libraries of a process share one of each: those here do what Apple's do, malloc and free.
    if (native.options.target.result.ofmt == .elf) library.setVersionScript(b.path(exported_symbols));
    native.tune(library);
    library.step.dependOn(native.compileStandardLibrary());
    return library;
}

/// Layers 1 and 2 as an object.
pub fn addLayers(native: Native) *std.Build.Step.Compile {
    const layers = native.b.addObject(.{ .name = "layers", .root_module = native.createModule(.layers) });
    native.tune(layers);
    return layers;
}

fn addUnit(native: Native, name: []const u8, file: LazyPath) *std.Build.Step.Compile {
    const module = native.createModule(.cpp);
    module.addCSourceFile(.{ .file = file, .flags = native.cppFlags() });
    const object = native.b.addObject(.{ .name = native.b.fmt("{s}_unit", .{name}), .root_module = module });
    native.tune(object);
    return object;
}

/// Half of a build from nothing is the C++ standard library, which Zig compiles for the first thing that is linked with it:
/// a library without content has it compiled while the units are.
fn compileStandardLibrary(native: Native) *std.Build.Step {
    const b = native.b;
    const module = native.createModule(.objects);
    module.addCSourceFile(.{ .file = b.addWriteFiles().add("nothing.cpp", ""), .flags = native.cppFlags() });
    const library = b.addLibrary(.{ .name = "standard_library", .linkage = .dynamic, .root_module = module });
    native.tune(library);
    // What nobody asks for is not linked.
    _ = library.getEmittedBin();
    return &library.step;
}

/// What the library knows of its own headers. Fails when socketify/native/abi.py says something else than they do.
pub fn abiUnit(native: Native) LazyPath {
    const b = native.b;
    const run = b.addSystemCommand(&.{native.options.python});
    run.setName("compare socketify/native/abi.py with the headers");
    run.addFileArg(b.path("zig/build/generate_abi.py"));
    for ([_][]const u8{ "", "_compression", "_metrics", "_observing", "_python", "_websocket" }) |part| {
        run.addFileInput(b.path(b.fmt("zig/shim/abi/socketify{s}.h", .{part})));
    }
    run.addFileInput(b.path("socketify/native/abi.py"));
    run.addArg("--unit");
    return run.addOutputFileArg("abi_unit.cpp");
}

/// The C++ files to compile.
pub fn shimUnits(native: Native) [std.enums.values(Unit).len]LazyPath {
    const b = native.b;
    const files = b.addWriteFiles();
    var units: [std.enums.values(Unit).len]LazyPath = undefined;
    for (&units, std.enums.values(Unit)) |*file, unit| {
        file.* = files.add(b.fmt("{t}_unit.cpp", .{unit}), unit.including(b));
    }
    return units;
}

/// How every release artifact is compiled and linked.
pub fn tune(native: Native, artifact: *std.Build.Step.Compile) void {
    artifact.link_function_sections = true;
    artifact.link_data_sections = true;
    // Zig's own linker, its choice when debugging, leaves symbols of C++ objects undefined in a shared library.
    artifact.use_llvm = true;
    // There is none for Mach-O.
    artifact.use_lld = native.options.target.result.ofmt == .elf;
    if (native.options.lto) artifact.lto = .full;
    // Of an object, which nothing refers to yet, all would be left out.
    if (artifact.kind != .obj) artifact.link_gc_sections = true;
}

/// The shim's files are compiled together, some in each unit: the engine's templates take four times as long to read as
/// the files themselves. Every file is in one of these lists; tests/test_tidy.py looks.
const Unit = enum {
    http,
    websocket,
    cpython,
    wsgi,

    fn sources(unit: Unit) []const []const u8 {
        return switch (unit) {
            .http => &.{
                "abi/app.cpp",
                "abi/compression.cpp",
                "abi/connection.cpp",
                "abi/lending.cpp",
                "abi/loop.cpp",
                "abi/metrics.cpp",
                "abi/request.cpp",
                "abi/response.cpp",
                "abi/tls.cpp",
                "http/access_log.cpp",
                "http/app.cpp",
                "http/body.cpp",
                "http/callback.cpp",
                "http/coded_response.cpp",
                "http/compression.cpp",
                "http/connection.cpp",
                "http/end_report.cpp",
                "http/half_closed.cpp",
                "http/head.cpp",
                "http2/connection.cpp",
                "http2/stream.cpp",
                "http/loop.cpp",
                "http/memory.cpp",
                "http/metrics.cpp",
                "http/observer.cpp",
                "http/request_id.cpp",
                "http/response.cpp",
                "http/route_table.cpp",
                "http/scope.cpp",
                "http/scratch.cpp",
                "http/send.cpp",
                "http/slot_table.cpp",
                "proxy/client.cpp",
                "proxy/forwarded.cpp",
            },
            .websocket => &.{
                "abi/websocket.cpp",
                "websocket/connection.cpp",
                "websocket/deflate.cpp",
                "websocket/frame.cpp",
                "websocket/route.cpp",
                "websocket/send.cpp",
                "websocket/topic_watch.cpp",
                "websocket/topics.cpp",
                "websocket/upgrade.cpp",
                "websocket/websocket.cpp",
            },
            .cpython => &.{
                "abi/python.cpp",
                "cpython/api.cpp",
                "cpython/asgi.cpp",
                "cpython/asgi_exchange.cpp",
                "cpython/asgi_scope.cpp",
                "cpython/continuation.cpp",
                "cpython/coroutine.cpp",
                "cpython/exchange.cpp",
                "cpython/functions.cpp",
                "cpython/handler.cpp",
                "cpython/hidden_loop.cpp",
                "cpython/members.cpp",
                "cpython/request.cpp",
                "cpython/response.cpp",
                "cpython/uv_loop.cpp",
                "cpython/wait.cpp",
                "cpython/websocket.cpp",
            },
            .wsgi => &.{
                "abi/wsgi.cpp",
                "cpython/wsgi.cpp",
                "cpython/wsgi_environ.cpp",
                "cpython/wsgi_head.cpp",
                "cpython/wsgi_response.cpp",
            },
        };
    }

    /// A C++ file that includes those of the unit.
    fn including(unit: Unit, b: *std.Build) []const u8 {
        var text: []const u8 = "";
        for (unit.sources()) |name| text = b.fmt("{s}#include \"{s}\"\n", .{ text, name });
        return text;
    }
};
