//! Where the engine's headers come from: uWebSockets, unmodified, without what layer 2 stands in for.
//!
//! Both sources have the same layout (`src/App.h`, `uSockets/src/libusockets.h`): what the fetch script unpacks, and a
//! local copy given with `-Duwebsockets=DIR`.
const Engine = @This();

const std = @import("std");
const LazyPath = std.Build.LazyPath;

/// The engine's own headers, without those that zig/http/include, zig/websocket and zig/sending have instead.
include: LazyPath,
/// The C API that layer 1 implements.
sockets_include: LazyPath,
/// The parser headers alone, as the engine's authors wrote them: the parser's benchmark compares with them.
parser_include: LazyPath,
/// Apache-2.0; goes into the wheels.
license: LazyPath,

/// A header looks into its own folder first, so what layer 2 replaces must not be there.
const parser_headers = [_][]const u8{ "HttpParser.h", "ChunkedEncoding.h", "HttpErrors.h" };

/// Listed one by one, so that a copy that is not complete is reported by the name of what it lacks.
const headers = [_][]const u8{
    "App.h",                 "BloomFilter.h",        "ClientApp.h",            "HttpContext.h",
    "HttpContextData.h",     "HttpResponse.h",       "HttpResponseData.h",     "HttpRouter.h",
    "Loop.h",                "LoopData.h",           "MessageParser.h",        "Multipart.h",
    "PerMessageDeflate.h",   "QueryParser.h",        "TopicTree.h",            "Utilities.h",
    "WebSocket.h",           "WebSocketContext.h",   "WebSocketContextData.h", "WebSocketData.h",
    "WebSocketExtensions.h", "WebSocketHandshake.h",
};

/// What the parser's own headers include besides each other.
const parser_dependencies = [_][]const u8{
    "BloomFilter.h", "MoveOnlyFunction.h", "ProxyParser.h", "QueryParser.h", "Utilities.h",
};

/// `python` downloads them, with its pip.
pub fn init(b: *std.Build, python: []const u8) Engine {
    const local = b.option([]const u8, "uwebsockets", "A local copy of the engine: holds src/App.h and uSockets/src/libusockets.h");
    const root = if (local) |directory|
        b.graph.cwdRelativePath(directory)
    else
        fetch(b, python);

    const tree = b.addWriteFiles();
    for (headers) |name| copyHeader(b, tree, root, name, "engine");
    for (parser_headers ++ parser_dependencies) |name| copyHeader(b, tree, root, name, "parser");
    _ = tree.addCopyFile(root.path(b, "uSockets/src/libusockets.h"), "sockets/libusockets.h");
    const license = tree.addCopyFile(root.path(b, "LICENSE"), "LICENSE");
    return .{
        .include = tree.getDirectory().path(b, "engine"),
        .sockets_include = tree.getDirectory().path(b, "sockets"),
        .parser_include = tree.getDirectory().path(b, "parser"),
        .license = license,
    };
}

/// Runs once: its arguments and the script's content are the cache's key.
fn fetch(b: *std.Build, python: []const u8) LazyPath {
    const run = b.addSystemCommand(&.{python});
    run.setName("fetch the engine's headers");
    run.addFileArg(b.path("zig/build/fetch_engine.py"));
    return run.addOutputDirectoryArg("uWebSockets");
}

fn copyHeader(b: *std.Build, tree: *std.Build.Step.WriteFile, root: LazyPath, name: []const u8, folder: []const u8) void {
    _ = tree.addCopyFile(root.path(b, b.pathJoin(&.{ "src", name })), b.pathJoin(&.{ folder, name }));
}
