//! zig build          the native library, into the prefix and where `import socketify` finds it
//!   -Dchecks=true    with assertions, Zig's safety checks and UndefinedBehaviorSanitizer, into zig-out/lib/checks
//!   -Dasan=true      with AddressSanitizer by the system's clang, too, into zig-out/lib/asan
//!   -Dtsan=true      with ThreadSanitizer instead, into zig-out/lib/tsan
//!                    (SOCKETIFY_LIBRARY names the one that `import socketify` loads)
//! zig build test     the Zig tests
//! zig build bench    C++ servers on the same engine and sockets, the ceiling of what Python can reach, and load clients
//! zig build fuzz     the fuzz tests of both parsers (with --fuzz=LIMIT, or for ever with --fuzz)
//! zig build http2    the HTTP/2 state machine alone, with all checks, for tests/http2
//! zig build macos    compiles and links the library and the Zig tests for macOS, which run nowhere here; into zig-out/lib/*-macos
//! zig build fmt      checks the formatting of the Zig code
const std = @import("std");
const Engine = @import("zig/build/Engine.zig");
const Native = @import("zig/build/Native.zig");
const Options = @import("zig/build/Options.zig");
const Sanitized = @import("zig/build/Sanitized.zig");

const Layer = struct { name: []const u8, root: []const u8 };

/// Roots of the layers in Zig; each one's tests run alone.
const zig_layers = [_]Layer{
    .{ .name = "usockets", .root = "zig/usockets/usockets.zig" },
    .{ .name = "http", .root = "zig/http/http.zig" },
    .{ .name = "http2", .root = "zig/http2.zig" },
};

pub fn build(b: *std.Build) void {
    const options: Options = .init(b);
    const native: Native = .{ .b = b, .engine = .init(b, options.python), .options = options };
    addLibrary(b, native);
    addTests(b, native);
    addMacos(b, native);
    addHttp2(b, options);
    addBench(b, native);
    addFormatCheck(b);
}

fn addLibrary(b: *std.Build, native: Native) void {
    if (native.options.sanitizer) |sanitizer| {
        const sanitized: Sanitized = .{ .b = b, .native = native, .sanitizer = sanitizer };
        const place = b.fmt("{s}/libsocketify.so", .{sanitizer.directory()});
        b.getInstallStep().dependOn(&b.addInstallLibFile(sanitized.library(), place).step);
        return;
    }
    const library = native.addSharedLibrary();
    if (native.options.checks) {
        const install = b.addInstallArtifact(library, .{ .dest_dir = .{ .override = .{ .custom = "lib/checks" } } });
        b.getInstallStep().dependOn(&install.step);
        return;
    }
    b.installArtifact(library);
    b.getInstallStep().dependOn(&b.addInstallFile(native.engine.license, "share/licenses/uWebSockets/LICENSE").step);

    if (!native.options.into_source) return;
    // The source tree can only use a library for the machine it is on.
    const target = native.options.target.result;
    const host = b.graph.host.result;
    if (target.os.tag != host.os.tag or target.cpu.arch != host.cpu.arch or target.abi != host.abi) return;
    const in_tree = b.addUpdateSourceFiles();
    const name = b.fmt("socketify/native/libsocketify{s}", .{target.dynamicLibSuffix()});
    in_tree.addCopyFileToSource(library.getEmittedBin(), name);
    b.getInstallStep().dependOn(&in_tree.step);
}

fn addTests(b: *std.Build, native: Native) void {
    const options = native.options;
    const test_step = b.step("test", "Run the Zig tests");
    const fuzz_step = b.step("fuzz", "Run the fuzz tests (with --fuzz[=limit])");
    for (zig_layers) |layer| {
        const tests = addLayerTests(b, options, layer, null);
        const run = b.addRunArtifact(tests);
        test_step.dependOn(&run.step);
        if (std.mem.eql(u8, layer.name, "usockets") and options.target.result.os.tag == .linux) {
            // Once on each backend; where the kernel refuses io_uring, its tests say that they are skipped.
            run.setEnvironmentVariable("SOCKETIFY_BACKEND", "epoll");
            const other = b.addRunArtifact(tests);
            other.setEnvironmentVariable("SOCKETIFY_BACKEND", "io_uring");
            // They have the names of Unix sockets in common.
            other.step.dependOn(&run.step);
            test_step.dependOn(&other.step);
            // And on macOS's, over epoll.
            const runner = b.path("zig/usockets/kqueue_test_runner.zig");
            const on_kqueue = b.addRunArtifact(addLayerTests(b, options, layer, runner));
            on_kqueue.step.dependOn(&other.step);
            test_step.dependOn(&on_kqueue.step);
        }
        if (std.mem.startsWith(u8, layer.name, "http")) fuzz_step.dependOn(&run.step);
    }
    const harness = addParserProgram(b, native, .ours, "parser_harness", b.path("zig/http/tests/parser_harness.cpp"));
    test_step.dependOn(&b.addRunArtifact(harness).step);
}

fn addLayerTests(
    b: *std.Build,
    options: Options,
    layer: Layer,
    runner: ?std.Build.LazyPath,
) *std.Build.Step.Compile {
    const module = b.createModule(.{
        .root_source_file = b.path(layer.root),
        .target = options.target,
        // Assertions are half of what the tests check.
        .optimize = if (options.optimize == .debug) .debug else .safe,
        .link_libc = true,
    });
    return b.addTest(.{
        .name = layer.name,
        .root_module = module,
        .test_runner = if (runner) |path| .{ .path = path, .mode = .simple } else null,
    });
}

/// Both processors, since the first system that has run on both.
fn addMacos(b: *std.Build, native: Native) void {
    const step = b.step("macos", "Compile and link the library and the Zig tests for macOS");
    for ([_]std.Target.Cpu.Arch{ .aarch64, .x86_64 }) |arch| {
        var there = native;
        there.options.target = b.resolveTargetQuery(.{
            .cpu_arch = arch,
            .os_tag = .macos,
            .os_version_min = .{ .semver = .{ .major = 11, .minor = 0, .patch = 0 } },
        });
        there.options.lto = false;
        const directory: std.Build.InstallDir = .{ .custom = b.fmt("lib/{t}-macos", .{arch}) };
        const install = b.addInstallArtifact(there.addSharedLibrary(), .{ .dest_dir = .{ .override = directory } });
        step.dependOn(&install.step);
        for (zig_layers) |layer| step.dependOn(&addLayerTests(b, there.options, layer, null).step);
    }
}

fn addHttp2(b: *std.Build, options: Options) void {
    const module = b.createModule(.{
        .root_source_file = b.path("zig/http2.zig"),
        .target = options.target,
        .optimize = if (options.optimize == .debug) .debug else .safe,
        .link_libc = true,
        .pic = true,
    });
    const library = b.addLibrary(.{ .name = "http2", .linkage = .dynamic, .root_module = module });
    const step = b.step("http2", "Build the HTTP/2 state machine alone, which tests/http2 talks to");
    step.dependOn(&b.addInstallArtifact(library, .{}).step);
}

fn addBench(b: *std.Build, native: Native) void {
    const step = b.step("bench", "Build the C++ servers that the benchmarks compare with, and the load clients");
    const layers = native.addLayers();
    for ([_][]const u8{ "hello", "echo" }) |name| {
        const module = native.createModule(.cpp);
        module.addObject(layers);
        module.addCSourceFile(.{ .file = b.path(b.fmt("bench/native/{s}.cpp", .{name})), .flags = native.cppFlags() });
        const executable = b.addExecutable(.{ .name = b.fmt("bench_{s}", .{name}), .root_module = module });
        native.tune(executable);
        step.dependOn(&b.addInstallArtifact(executable, .{}).step);
    }
    for ([_][]const u8{ "websocket_load", "paced_load", "topic_load" }) |name| {
        step.dependOn(&b.addInstallArtifact(addLoadClient(b, native.options, name), .{}).step);
    }
    step.dependOn(&b.addInstallArtifact(addHttp2Bench(b, native.options), .{}).step);
    for ([_]ParserKind{ .ours, .engines }) |kind| {
        const program = addParserProgram(b, native, kind, b.fmt("bench_parser_{t}", .{kind}), b.path("bench/native/parser.cpp"));
        step.dependOn(&b.addInstallArtifact(program, .{}).step);
    }
}

/// What the HTTP/2 state machine costs.
fn addHttp2Bench(b: *std.Build, options: Options) *std.Build.Step.Compile {
    const module = b.createModule(.{
        .root_source_file = b.path("bench/native/http2.zig"),
        .target = options.target,
        .optimize = options.optimize,
        .link_libc = true,
    });
    module.addAnonymousImport("http2", .{ .root_source_file = b.path("zig/http2.zig") });
    return b.addExecutable(.{ .name = "bench_http2", .root_module = module });
}

const ParserKind = enum { ours, engines };

/// A program that feeds a request parser through the engine's interface to it.
fn addParserProgram(
    b: *std.Build,
    native: Native,
    kind: ParserKind,
    name: []const u8,
    source: std.Build.LazyPath,
) *std.Build.Step.Compile {
    const module = b.createModule(.{
        .root_source_file = null,
        .target = native.options.target,
        .optimize = native.options.optimize,
        // As the library has them: otherwise Zig compiles the C++ standard library once more, for these alone.
        .strip = native.options.strip,
        .pic = true,
        .omit_frame_pointer = native.options.optimize != .debug,
        .link_libc = true,
        .link_libcpp = true,
        // The engine's parser reads and writes past the end of what it was given.
        .sanitize_c = .off,
    });
    if (kind == .ours) {
        module.addIncludePath(b.path("zig/http/include"));
        const parser = b.createModule(.{
            .root_source_file = b.path("zig/http/http.zig"),
            .target = native.options.target,
            .optimize = native.options.optimize,
        });
        module.addObject(b.addObject(.{ .name = "parser", .root_module = parser }));
    }
    module.addSystemIncludePath(native.engine.parser_include);
    module.addCSourceFile(.{ .file = source, .flags = native.cppFlags() });
    const executable = b.addExecutable(.{ .name = name, .root_module = module });
    native.tune(executable);
    return executable;
}

fn addLoadClient(b: *std.Build, options: Options, name: []const u8) *std.Build.Step.Compile {
    const module = b.createModule(.{
        .root_source_file = b.path(b.fmt("bench/native/{s}.zig", .{name})),
        .target = options.target,
        .optimize = options.optimize,
        .link_libc = true,
    });
    module.addAnonymousImport("sys", .{ .root_source_file = b.path("zig/usockets/sys.zig") });
    return b.addExecutable(.{ .name = name, .root_module = module });
}

fn addFormatCheck(b: *std.Build) void {
    const check = b.addFmt(.{ .paths = b.pathList(&.{ "build.zig", "build.zig.zon", "zig", "bench/native" }), .check = true });
    b.step("fmt", "Check the formatting of the Zig code").dependOn(&check.step);
}
