//! A title for every schema of the document: generators name their types by it, and without one by a hash.
//!
//! A component is called as it is. What is written inline is called after the place where it stands: `SessionRowName` is the
//! property `name` of `SessionRow`, `SessionNudgeText` the parameter `text` of `session.nudge`. No two schemas share a title,
//! and none has the name that a method becomes: generators put both into one namespace.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The title of every schema that is null alone: that needs one type only.
const NULL: &str = "Null";

/// The titles that were given so far.
#[derive(Debug)]
pub(super) struct Titles(BTreeSet<String>);

impl Titles {
    /// Titles that leave the names of components and of methods alone.
    pub(super) fn beside<'a>(
        components: impl Iterator<Item = &'a String>,
        methods: impl Iterator<Item = &'a str>,
    ) -> Self {
        Self(components.map(String::as_str).chain(methods).map(pascal_case).collect())
    }

    /// Gives a component and all that stands in it their titles.
    pub(super) fn component(&mut self, name: &str, schema: &mut Value) {
        if let Some(schema) = open(schema) {
            self.inside(&pascal_case(name), schema);
        }
    }

    /// Gives a schema that stands at a place of this name, and all that stands in it, their titles. What refers to a
    /// component needs none.
    pub(super) fn inline(&mut self, place: &str, schema: &mut Value) {
        let Some(schema) = open(schema).filter(|schema| !schema.contains_key("$ref")) else { return };
        let title =
            if schema.get("type") == Some(&json!("null")) { NULL.to_owned() } else { self.free(place) };
        self.inside(&title, schema);
    }

    fn inside(&mut self, title: &str, schema: &mut Map<String, Value>) {
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            for (name, property) in properties {
                self.inline(&format!("{title}{}", pascal_case(name)), property);
            }
        }
        if let Some(items) = schema.get_mut("items") {
            self.inline(&format!("{title}Item"), items);
        }
        // `true` and `false` only say whether there may be more.
        if let Some(value) = schema.get_mut("additionalProperties").filter(|value| value.is_object()) {
            self.inline(&format!("{title}Value"), value);
        }
        for list in ["anyOf", "oneOf"] {
            let variants = schema.get_mut(list).and_then(Value::as_array_mut);
            for variant in variants.into_iter().flatten() {
                self.inline(&format!("{title}{}", variant_name(variant)), variant);
            }
        }
        // The first key, where people look for it.
        let rest = std::mem::take(schema);
        schema.insert("title".to_owned(), title.into());
        schema.extend(rest);
    }

    /// The title, or the next like it that nobody has.
    fn free(&mut self, wanted: &str) -> String {
        let numbered = (2..).map(|number| format!("{wanted}Field{number}"));
        let mut titles = [wanted.to_owned(), format!("{wanted}Field")].into_iter().chain(numbered);
        loop {
            // The numbers do not end.
            let title = titles.next().unwrap_or_default();
            if self.0.insert(title.clone()) {
                return title;
            }
        }
    }
}

/// The members of a schema: `true` can have no title, and an object without members says the same.
fn open(schema: &mut Value) -> Option<&mut Map<String, Value>> {
    if *schema == Value::Bool(true) {
        *schema = json!({});
    }
    schema.as_object_mut()
}

/// What an alternative is called beside the others: its word, that of the key that tells it, the component that it is, or
/// its type.
fn variant_name(variant: &Value) -> String {
    let of_key =
        || variant["properties"].as_object()?.values().find_map(|property| property["const"].as_str());
    let component = || variant["allOf"][0]["$ref"].as_str()?.rsplit('/').next();
    let word =
        variant["const"].as_str().or_else(of_key).or_else(component).or_else(|| variant["type"].as_str());
    pascal_case(word.unwrap_or_default())
}

/// A name in words, as a type is called: `session.nudge` is `SessionNudge`.
pub(super) fn pascal_case(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .flat_map(|word| word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mut schema: Value, expect: &Value) {
        let components = ["Row".to_owned(), "RowKind".to_owned()];
        let mut titles = Titles::beside(components.iter(), ["row.status"].into_iter());
        titles.component("Row", &mut schema);
        assert_eq!(&schema, expect);
    }

    #[test]
    fn what_stands_inline_is_called_after_its_place() {
        check(
            json!({ "properties": {
                "first_name": { "type": "string" },
                "list": { "items": true, "type": "array" },
                "map": { "additionalProperties": { "type": "integer" } },
                "other": { "$ref": "#/components/schemas/Row" },
                "either": { "anyOf": [{ "$ref": "#/components/schemas/Row" }, { "type": "null" }] },
                "word": { "oneOf": [{ "const": "full-text" }, { "properties": { "kind": { "const": "x" } } }] },
            }, "additionalProperties": false }),
            &json!({ "title": "Row", "properties": {
                "first_name": { "title": "RowFirstName", "type": "string" },
                "list": { "title": "RowList", "items": { "title": "RowListItem" }, "type": "array" },
                "map": { "title": "RowMap", "additionalProperties": { "title": "RowMapValue", "type": "integer" } },
                "other": { "$ref": "#/components/schemas/Row" },
                "either": { "title": "RowEither",
                    "anyOf": [{ "$ref": "#/components/schemas/Row" }, { "title": "Null", "type": "null" }] },
                "word": { "title": "RowWord", "oneOf": [
                    { "title": "RowWordFullText", "const": "full-text" },
                    { "title": "RowWordX", "properties": { "kind": { "title": "RowWordXKind", "const": "x" } } },
                ] },
            }, "additionalProperties": false }),
        );
    }

    #[test]
    fn a_title_that_somebody_has_is_not_given_again() {
        check(
            json!({ "properties": { "kind": {}, "status": {}, "STATUS": {} } }),
            &json!({ "title": "Row", "properties": {
                "kind": { "title": "RowKindField" },
                "status": { "title": "RowStatusField" },
                "STATUS": { "title": "RowSTATUS" },
            } }),
        );
    }
}
