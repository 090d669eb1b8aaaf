//! Characters and errors of the grammar.

/// Indexes into httpErrorResponses of include/HttpErrors.h.
pub const Error = enum(i32) {
    bad_request = 1,
    header_fields_too_large = 2,
    uri_too_long = 3,
    content_too_large = 4,
    not_implemented = 5,
    version_not_supported = 6,
    expectation_failed = 7,
};

/// RFC 9110 section 5.6.2: tchar.
pub const token_table = table("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
/// RFC 3986 section 3.2.2: what a registered name can hold.
pub const host_table = table("-._~%!$&'()*+,;=0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

fn table(comptime characters: []const u8) [256]bool {
    var result: [256]bool = @splat(false);
    for (characters) |c| result[c] = true;
    return result;
}

pub fn lower(c: u8) u8 {
    return if (c >= 'A' and c <= 'Z') c | 0x20 else c;
}

pub fn equalsIgnoringCase(text: []const u8, comptime lower_text: []const u8) bool {
    if (text.len != lower_text.len) return false;
    for (text, lower_text) |a, b| {
        if (lower(a) != b) return false;
    }
    return true;
}

pub fn isFieldByte(c: u8) bool {
    return (c >= 0x20 and c != 0x7f) or c == '\t';
}

pub fn trim(text: []u8) []u8 {
    var begin: usize = 0;
    var end = text.len;
    while (begin < end and (text[begin] == ' ' or text[begin] == '\t')) begin += 1;
    while (end > begin and (text[end - 1] == ' ' or text[end - 1] == '\t')) end -= 1;
    return text[begin..end];
}
