//! The native library with a sanitizer of the system's clang, as Zig's own comes without: the shim and the engine's templates
//! are compiled by it, and linked with layers 1 and 2, which Zig compiles with its safety checks.
//!
//! A process that loads the library needs the sanitizer's run time before everything else. AddressSanitizer's is preloaded:
//! `LD_PRELOAD=$(clang++ -print-file-name=libclang_rt.asan-x86_64.so)`, with `PYTHONMALLOC=malloc` for Python's own memory.
//! ThreadSanitizer's is in a CPython that was built with it (`--with-thread-sanitizer`), which tells it of the interpreter's locks.
const Sanitized = @This();

const std = @import("std");
const Native = @import("Native.zig");
const LazyPath = std.Build.LazyPath;
const Run = std.Build.Step.Run;

pub const Sanitizer = enum {
    address,
    thread,

    /// Where libraries with it are put.
    pub fn directory(sanitizer: Sanitizer) []const u8 {
        return switch (sanitizer) {
            .address => "asan",
            .thread => "tsan",
        };
    }
};

b: *std.Build,
native: Native,
sanitizer: Sanitizer,

/// The calls of `memcpy` and their kin, made by name, are what the run time can look at.
const flags = [_][]const u8{ "-fno-omit-frame-pointer", "-fno-builtin", "-g", "-O1", "-fPIC" };

/// The path of the library.
pub fn library(sanitized: Sanitized) LazyPath {
    const b = sanitized.b;
    const link = sanitized.run("link the library with a sanitizer", &.{ "-shared", "-g" });
    if (sanitized.sanitizer == .address) link.addArg("-shared-libasan");
    link.addPrefixedFileArg("-Wl,--version-script=", b.path(Native.exported_symbols));
    link.addArg("-o");
    const output = link.addOutputFileArg("libsocketify.so");
    link.addFileArg(sanitized.compileLayers());
    link.addFileArg(sanitized.compile(sanitized.native.abiUnit()));
    for (sanitized.native.shimUnits()) |unit| link.addFileArg(sanitized.compile(unit));
    if (sanitized.sanitizer == .thread) link.addFileArg(sanitized.compile(b.path("zig/build/tsan_memory.cpp")));
    link.addArgs(&.{ "-lpthread", "-ldl", "-lm" });
    return output;
}

/// Layers 1 and 2 as an object.
fn compileLayers(sanitized: Sanitized) LazyPath {
    const b = sanitized.b;
    const module = sanitized.native.createModule(.layers);
    const layers = b.addObject(.{ .name = "layers", .root_module = module });
    if (sanitized.sanitizer == .address) {
        layers.bundle_compiler_rt = true;
        return layers.getEmittedBin();
    }
    module.sanitize_thread = true;
    // What probes is part of Zig's own run time, which is left out.
    module.stack_check = false;
    // Zig only makes parts of programs with it, whose thread-local variables cannot be in a shared library: what it would compile
    // is compiled by the same compiler without saying so.
    const program = b.addSystemCommand(&.{ "sed", "s/\"PIE Level\"/\"none\"/" });
    program.addFileArg(layers.getEmittedLlvmIr());
    const shared = b.addSystemCommand(&.{ b.graph.zig_exe, "clang", "-w", "-O1", "-fPIC", "-c", "-x", "ir" });
    shared.addFileArg(program.captureStdOut(.{}));
    shared.addArg("-o");
    return shared.addOutputFileArg("layers.o");
}

fn compile(sanitized: Sanitized, unit: LazyPath) LazyPath {
    const step = sanitized.run("compile a unit of the shim with a sanitizer", &flags);
    step.addArgs(sanitized.native.cppFlags());
    for (sanitized.native.includePaths()) |path| step.addPrefixedDirectoryArg("-I", path);
    for (sanitized.native.systemIncludePaths()) |path| step.addDecoratedDirectoryArg("-isystem", path, "");
    step.addArgs(&.{"-MD"});
    _ = step.addPrefixedDepFileOutputArg("-MF", "unit.d");
    step.addArg("-c");
    step.addFileArg(unit);
    step.addArg("-o");
    return step.addOutputFileArg("unit.o");
}

fn run(sanitized: Sanitized, name: []const u8, arguments: []const []const u8) *Run {
    const step = sanitized.b.addSystemCommand(&.{sanitized.native.options.clang});
    step.setName(name);
    step.addArg(sanitized.b.fmt("-fsanitize={t}", .{sanitized.sanitizer}));
    step.addArgs(arguments);
    return step;
}
