//! What a client has to know, read out of the OpenRPC document: the methods by namespace, the types that they use, and the
//! kinds of errors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use conveyor_proto::openrpc::{self, PROTOCOL_MAJOR};
use conveyor_tests::harness::workspace_root;
use serde_json::{Map, Value};

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    Any,
    Null,
    Boolean,
    Integer,
    Number,
    Text,
    Words(Vec<Word>),
    List(Box<Self>),
    Map(Box<Self>),
    Named(String),
    /// Null is the last one.
    Either(Vec<Self>),
}

/// One word of a closed set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) word: String,
    pub(super) doc: String,
}

/// A type with a name.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) doc: String,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    Object(Vec<Field>),
    Alias(Type),
}

/// A key of an object, or a parameter.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) holds: Type,
    pub(super) presence: Presence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    Optional,
}

/// Whether a call may be sent again: `x-repeat`.
#[derive(Debug)]
pub(super) struct Repeat {
    pub(super) safe: String,
    /// What has to hold of the parameters, as `(set or unset, name)`.
    pub(super) any: Vec<(String, String)>,
    pub(super) look_at: Option<String>,
}

#[derive(Debug)]
pub(super) struct Method {
    /// The name on the wire.
    pub(super) name: String,
    /// The part of the name behind the namespace.
    pub(super) verb: String,
    pub(super) doc: String,
    pub(super) params: Vec<Field>,
    pub(super) result: Type,
    pub(super) repeat: Repeat,
    /// Of a method that waits: how long it does by itself, in seconds.
    pub(super) timeout: Option<f64>,
    pub(super) answers: Answers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    Once,
    /// The result is the type of each item.
    Subscription,
}

#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) name: String,
    pub(super) methods: Vec<Method>,
}

/// A class of errors, or one of their kinds.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: String,
    pub(super) code: i64,
    pub(super) doc: String,
}

#[derive(Debug)]
pub(super) struct Api {
    pub(super) version: String,
    pub(super) protocol: u32,
    pub(super) types: BTreeMap<String, Declared>,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) classes: Vec<Class>,
    pub(super) kinds: Vec<Word>,
}

impl Api {
    pub(super) fn read() -> Self {
        let document = openrpc::document();
        let components = &document["components"]["schemas"];
        let mut types = Types { components, found: BTreeMap::new(), side: Side::Params };
        let mut namespaces: Vec<Namespace> = Vec::new();
        for described in document["methods"].as_array().unwrap() {
            let method = method(described, &mut types);
            let name = method.name.split_once('.').unwrap().0.to_owned();
            match namespaces.iter_mut().find(|namespace| namespace.name == name) {
                Some(namespace) => namespace.methods.push(method),
                None => namespaces.push(Namespace { name, methods: vec![method] }),
            }
        }
        let errors = document["components"]["errors"].as_object().unwrap();
        let class = |(name, error): (&String, &Value)| Class {
            name: name.clone(),
            code: error["code"].as_i64().unwrap(),
            doc: sentence(error["message"].as_str().unwrap()),
        };
        Self {
            version: text(&document["info"], "version"),
            protocol: PROTOCOL_MAJOR,
            types: types.found,
            namespaces,
            classes: errors.iter().map(class).collect(),
            kinds: kinds(),
        }
    }
}

fn method(described: &Value, types: &mut Types<'_>) -> Method {
    let name = text(described, "name");
    let params = described["params"].as_array().unwrap();
    let timeout = params.iter().find(|param| param["name"] == "timeout");
    types.side = Side::Params;
    let fields = params.iter().map(|param| Field {
        name: text(param, "name"),
        doc: text(param, "description"),
        holds: types.read(&param["schema"]),
        presence: if param["required"] == true { Presence::Required } else { Presence::Optional },
    });
    let fields = fields.collect();
    types.side = Side::Result;
    let subscribes = described["x-subscription"] == true;
    Method {
        verb: name.split_once('.').unwrap().1.to_owned(),
        doc: text(described, "summary"),
        params: fields,
        result: types.read(&described["result"]["schema"]),
        repeat: repeat(&described["x-repeat"]),
        timeout: timeout.and_then(|param| param["schema"]["default"].as_f64()),
        answers: if subscribes { Answers::Subscription } else { Answers::Once },
        name,
    }
}

fn repeat(described: &Value) -> Repeat {
    let conditions = described["any"].as_array().into_iter().flatten();
    let condition = |condition: &Value| {
        let (given, name) = condition.as_object().unwrap().iter().next().unwrap();
        (given.clone(), name.as_str().unwrap().to_owned())
    };
    Repeat {
        safe: text(described, "safe"),
        any: conditions.map(condition).collect(),
        look_at: described["look_at"].as_str().map(str::to_owned),
    }
}

/// The types that the methods use, by their titles.
struct Types<'a> {
    components: &'a Value,
    found: BTreeMap<String, Declared>,
    side: Side,
}

/// Whose types are read. None that both have has an optional key.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Params,
    Result,
}

impl Types<'_> {
    fn read(&mut self, schema: &Value) -> Type {
        let list = |key: &str| schema[key].as_array().filter(|list| !list.is_empty());
        if let Some(reference) = schema["$ref"].as_str() {
            return self.component(reference.rsplit('/').next().unwrap());
        }
        if let Some(only) = list("allOf") {
            assert_eq!(only.len(), 1, "no schema holds of several at once: {schema}");
            return self.read(&only[0]);
        }
        if let Some(variants) = list("anyOf").or_else(|| list("oneOf")) {
            return either(variants.iter().map(|variant| self.read(variant)).collect());
        }
        if let Some(word) = schema["const"].as_str() {
            return Type::Words(vec![Word { word: word.to_owned(), doc: text(schema, "description") }]);
        }
        if let Some(words) = list("enum") {
            let word = |word: &Value| Word { word: word.as_str().unwrap().to_owned(), doc: String::new() };
            return Type::Words(words.iter().map(word).collect());
        }
        match &schema["type"] {
            Value::Array(names) => {
                either(names.iter().map(|name| self.simple(name.as_str().unwrap(), schema)).collect())
            }
            Value::String(name) => self.simple(name, schema),
            _ => Type::Any,
        }
    }

    fn simple(&mut self, name: &str, schema: &Value) -> Type {
        match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "integer" => Type::Integer,
            "number" => Type::Number,
            "string" => Type::Text,
            "array" => Type::List(Box::new(self.read(&schema["items"]))),
            "object" if schema["properties"].is_object() => {
                let title = text(schema, "title");
                let fields = self.fields(schema);
                self.declare(title, schema, Shape::Object(fields))
            }
            "object" => Type::Map(Box::new(self.read(&schema["additionalProperties"]))),
            other => panic!("a schema of type {other}: {schema}"),
        }
    }

    fn component(&mut self, name: &str) -> Type {
        let schema = &self.components[name];
        let title = text(schema, "title");
        if !self.found.contains_key(&title) {
            // It may name itself: it is known before it is read.
            self.declare(title.clone(), schema, Shape::Alias(Type::Any));
            let shape = if schema["type"] == "object" {
                Shape::Object(self.fields(schema))
            } else {
                Shape::Alias(self.read(schema))
            };
            self.found.insert(title.clone(), Declared { doc: text(schema, "description"), shape });
        }
        Type::Named(title)
    }

    fn declare(&mut self, title: String, schema: &Value, shape: Shape) -> Type {
        let doc = text(schema, "description");
        assert!(!title.is_empty(), "a type has a name: {schema}");
        self.found.insert(title.clone(), Declared { doc, shape });
        Type::Named(title)
    }

    fn fields(&mut self, schema: &Value) -> Vec<Field> {
        let none = Map::new();
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let field = |(name, property): (&String, &Value)| {
            let required = required.contains(name.as_str());
            let mut holds = self.read(property);
            // A result leaves out what it does not have: a key that may be missing is never null.
            if let Type::Either(of) = &mut holds
                && self.side == Side::Result
                && !required
            {
                of.retain(|one| *one != Type::Null);
            }
            Field {
                name: name.clone(),
                doc: text(property, "description"),
                holds,
                presence: if required { Presence::Required } else { Presence::Optional },
            }
        };
        properties.iter().map(field).collect()
    }
}

/// One of several types. Words become one set of words.
fn either(types: Vec<Type>) -> Type {
    let mut words = Vec::new();
    let mut others = Vec::new();
    for one in types {
        match one {
            Type::Words(more) => words.extend(more),
            Type::Either(more) => others.extend(more),
            other => others.push(other),
        }
    }
    if !words.is_empty() {
        others.insert(0, Type::Words(words));
    }
    others.sort_by_key(|one| *one == Type::Null);
    others.dedup();
    if others.len() == 1 { others.remove(0) } else { Type::Either(others) }
}

/// A text of an object, in lines that are paragraphs.
fn text(object: &Value, key: &str) -> String {
    let text = object[key].as_str().unwrap_or_default();
    let paragraphs =
        text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n")
}

fn sentence(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    format!("{}{rest}.", first.to_uppercase())
}

/// All kinds of errors, as the tables of `docs/protocol.md` have them; tests hold those to the code.
fn kinds() -> Vec<Word> {
    let page = fs::read_to_string(workspace_root().join("docs/protocol.md")).unwrap();
    let errors = page.split_once("\n## Errors\n").unwrap().1.split_once("\n## ").unwrap().0;
    let mut kinds: Vec<Word> = Vec::new();
    for row in errors.lines() {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [kind, _, when] = cells[..] else { continue };
        let Some(kind) = kind.strip_prefix('`').and_then(|kind| kind.strip_suffix('`')) else { continue };
        // What the socket and what methods refuse may be of one kind.
        if kinds.iter().all(|known| known.word != kind) {
            kinds.push(Word { word: kind.to_owned(), doc: when.to_owned() });
        }
    }
    assert!(kinds.len() > 100, "the tables were found");
    kinds
}

impl Repeat {
    /// What a client does after a lost connection, as a sentence.
    pub(super) fn sentence(&self) -> String {
        let shows =
            self.look_at.as_ref().map(|method| format!("`{method}` shows whether it was carried out"));
        let condition = |(given, name): &(String, String)| {
            format!("`{name}` is {}", if given == "set" { "set" } else { "not set" })
        };
        let conditions = self.any.iter().map(condition).collect::<Vec<_>>().join(" or ");
        match (self.safe.as_str(), shows) {
            ("always", None) => "After a lost connection it is sent again.".to_owned(),
            ("if", Some(shows)) => {
                format!("After a lost connection it is sent again when {conditions}; else {shows}.")
            }
            ("never", Some(shows)) => format!("After a lost connection {shows}."),
            (other, _) => panic!("a rule of its own: {other}"),
        }
    }
}
