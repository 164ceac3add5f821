//! The form of JSON on standard output: sorted keys, two spaces of indentation, ASCII.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};
use std::io;

/// A value over several lines, for people and `jq`; ends with a line end.
pub(crate) fn pretty(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    render(value, PrettyFormatter::with_indent(b"  "))
}

/// A value as it stands within a larger one: without a line end, its further lines indented by so many blanks.
pub(crate) fn indented(value: &impl Serialize, indentation: usize) -> Result<String, serde_json::Error> {
    let text = pretty(value)?;
    Ok(String::from_utf8_lossy(&text).trim_end().replace('\n', &format!("\n{}", " ".repeat(indentation))))
}

/// A value on one line; ends with a line end.
pub(crate) fn compact(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    render(value, CompactFormatter)
}

fn render(value: &impl Serialize, shape: impl Formatter) -> Result<Vec<u8>, serde_json::Error> {
    let mut value = serde_json::to_value(value)?;
    sort_keys(&mut value);
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, Ascii(shape)))?;
    out.push(b'\n');
    Ok(out)
}

/// Sorts the keys. serde_json keeps the order of insertion as soon as any crate of the build asks for `preserve_order`.
fn sort_keys(value: &mut Value) {
    value.sort_all_objects();
}

/// Another formatter's shape, with everything beyond ASCII written as `\u` escapes.
struct Ascii<F>(F);

impl<F: Formatter> Formatter for Ascii<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let plain = |c: char| matches!(c, ' '..='~');
        let mut rest = fragment;
        while let Some(at) = rest.find(|c| !plain(c)) {
            let (before, from) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let after = from.find(plain).unwrap_or(from.len());
            for unit in from[..after].encode_utf16() {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &from[after..];
        }
        writer.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }
    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }
    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }
    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }
    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(value: &Value, on_lines: &str, on_one: &str) {
        assert_eq!(String::from_utf8(pretty(value).unwrap()).unwrap(), on_lines);
        assert_eq!(String::from_utf8(compact(value).unwrap()).unwrap(), on_one);
    }

    #[test]
    fn keys_are_sorted_at_every_depth() {
        check(
            &json!({ "b": [{ "z": 1, "a": 2.5 }], "a": null, "B": [] , "c": {}}),
            "{\n  \"B\": [],\n  \"a\": null,\n  \"b\": [\n    {\n      \"a\": 2.5,\n      \"z\": 1\n    }\n  ],\n  \"c\": {}\n}\n",
            "{\"B\":[],\"a\":null,\"b\":[{\"a\":2.5,\"z\":1}],\"c\":{}}\n",
        );
    }

    #[test]
    fn everything_beyond_ascii_is_escaped() {
        check(
            &json!("é ✓ 😀 \"\\ \n\u{1b}\u{7f}"),
            "\"\\u00e9 \\u2713 \\ud83d\\ude00 \\\"\\\\ \\n\\u001b\\u007f\"\n",
            "\"\\u00e9 \\u2713 \\ud83d\\ude00 \\\"\\\\ \\n\\u001b\\u007f\"\n",
        );
    }
}
