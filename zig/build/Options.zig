//! What the command line chose, with this project's defaults.
const Options = @This();

const std = @import("std");
const Sanitizer = @import("Sanitized.zig").Sanitizer;

target: std.Build.ResolvedTarget,
optimize: std.builtin.Optimize,
strip: bool,
lto: bool,
/// Zig's safety checks, C++ assertions and UndefinedBehaviorSanitizer; what they find ends the process with file and line.
checks: bool,
/// Beside the other checks.
sanitizer: ?Sanitizer,
/// The compiler of the C++ half with a sanitizer, which Zig's own has none of.
clang: []const u8,
/// Runs the programs of the build that are written in it.
python: []const u8,
/// The library is put where `import socketify` finds it, too.
into_source: bool,

pub fn init(b: *std.Build) Options {
    const target = b.resolveTargetQuery(targetQuery(b));
    if (target.result.ptrBitWidth() < 64) {
        std.process.fatal("socketify needs a 64-bit processor: what processes count in common are words of 64 bits", .{});
    }
    const asan = b.option(bool, "asan", "AddressSanitizer by the system's clang++, with all other checks") orelse false;
    const tsan = b.option(bool, "tsan", "ThreadSanitizer by the system's clang++, with all other checks") orelse false;
    if (asan and tsan) std.process.fatal("only one of -Dasan and -Dtsan fits into a process", .{});
    const sanitizer: ?Sanitizer = if (asan) .address else if (tsan) .thread else null;
    const checks = b.option(bool, "checks", "Zig's safety checks, assertions and UndefinedBehaviorSanitizer") orelse
        (sanitizer != null);
    const usual: std.builtin.Optimize = if (checks) .safe else .fast;
    const optimize_help = "debug, safe, fast or small (default: fast; safe with checks)";
    const optimize = b.option(std.builtin.Optimize, "optimize", optimize_help) orelse usual;
    const release = optimize != .debug and !checks and sanitizer == null;
    return .{
        .target = target,
        .optimize = optimize,
        .strip = b.option(bool, "strip", "Leave debug information out (default: unless debug or checked)") orelse release,
        .lto = b.option(bool, "lto", "Link-time optimization (default: on x86-64 and arm64, unless debug or checked)") orelse
            (release and linksWhole(target.result)),
        .checks = checks,
        .sanitizer = sanitizer,
        .clang = b.option([]const u8, "clang", "The clang++ for -Dasan and -Dtsan (default: clang++)") orelse "clang++",
        .python = b.option([]const u8, "python", "Checks abi.py, and downloads the engine (default: python3)") orelse "python3",
        .into_source = b.option(bool, "into-source", "Put the library into the source tree, too (default: true)") orelse true,
    };
}

/// Where the linker optimizes what it links. For the others it lacks what they need, such as the kind of their floats.
fn linksWhole(target: std.Target) bool {
    return target.os.tag == .linux and (target.cpu.arch == .x86_64 or target.cpu.arch == .aarch64);
}

/// The oldest C library that what is built for GNU/Linux runs with: manylinux2014, or the first that Zig has or wheels are made
/// for.
fn glibcFloor(arch: std.Target.Cpu.Arch) std.SemanticVersion {
    return .{ .major = 2, .patch = 0, .minor = switch (arch) {
        .powerpc64le => 19,
        .riscv64 => 31,
        else => 17,
    } };
}

/// Without -Dtarget and -Dcpu, the library is made to be given away: for every CPU of this machine's architecture, and
/// every C library of its kind since the floor.
fn targetQuery(b: *std.Build) std.Target.Query {
    const host = b.graph.host.result;
    var query = b.standardTargetOptionsQueryOnly(.{ .default_target = .{
        .cpu_arch = host.cpu.arch,
        .cpu_model = .baseline,
        .os_tag = host.os.tag,
        .abi = host.abi,
    } });
    if (query.glibc_version != null) return query;
    const os = query.os_tag orelse host.os.tag;
    // A target that names its system but no C library gets Zig's choice, musl.
    const abi = query.abi orelse if (query.os_tag == null) host.abi else return query;
    if (os == .linux and abi == .gnu) {
        query.os_tag = os;
        query.abi = abi;
        query.glibc_version = glibcFloor(query.cpu_arch orelse host.cpu.arch);
    }
    return query;
}
