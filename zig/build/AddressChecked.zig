//! The native library with AddressSanitizer, which Zig's own clang comes without: the shim and the engine's templates are
//! compiled by the system's clang, and linked with layers 1 and 2, which Zig compiles with its safety checks.
//!
//! The library needs the sanitizer's run time before everything else in the process:
//! `LD_PRELOAD=$(clang++ -print-file-name=libclang_rt.asan-x86_64.so)`, with `PYTHONMALLOC=malloc` for Python's own memory.
const AddressChecked = @This();

const std = @import("std");
const Native = @import("Native.zig");
const LazyPath = std.Build.LazyPath;
const Run = std.Build.Step.Run;

b: *std.Build,
native: Native,
compiler: []const u8,

/// The calls of `memcpy` and their kin, made by name, are what the run time can look at.
const flags = [_][]const u8{ "-fsanitize=address", "-fno-omit-frame-pointer", "-fno-builtin", "-g", "-O1", "-fPIC" };

/// The path of the library.
pub fn library(checked: AddressChecked) LazyPath {
    const b = checked.b;
    const layers = b.addObject(.{ .name = "layers", .root_module = checked.native.createModule(.layers) });
    layers.bundle_compiler_rt = true;
    const link_flags = [_][]const u8{ "-shared", "-fsanitize=address", "-shared-libasan", "-g" };
    const link = checked.run("link the library with AddressSanitizer", &link_flags);
    link.addPrefixedFileArg("-Wl,--version-script=", b.path(Native.exported_symbols));
    link.addArg("-o");
    const output = link.addOutputFileArg("libsocketify.so");
    link.addArtifactArg(layers);
    link.addFileArg(checked.compile(checked.native.abiUnit()));
    for (checked.native.shimUnits()) |unit| link.addFileArg(checked.compile(unit));
    link.addArgs(&.{ "-lpthread", "-ldl", "-lm" });
    return output;
}

fn compile(checked: AddressChecked, unit: LazyPath) LazyPath {
    const step = checked.run("compile a unit of the shim with AddressSanitizer", &flags);
    step.addArgs(checked.native.cppFlags());
    for (checked.native.includePaths()) |path| step.addPrefixedDirectoryArg("-I", path);
    for (checked.native.systemIncludePaths()) |path| step.addDecoratedDirectoryArg("-isystem", path, "");
    step.addArgs(&.{"-MD"});
    _ = step.addPrefixedDepFileOutputArg("-MF", "unit.d");
    step.addArg("-c");
    step.addFileArg(unit);
    step.addArg("-o");
    return step.addOutputFileArg("unit.o");
}

fn run(checked: AddressChecked, name: []const u8, arguments: []const []const u8) *Run {
    const step = checked.b.addSystemCommand(&.{checked.compiler});
    step.setName(name);
    step.addArgs(arguments);
    return step;
}
