//! The client for Python: `docs/clients/conveyor.py`.

use super::api::{Answers, Api, Class, Declared, Field, Method, Namespace, Presence, Shape, Type, Word};
use super::page::{Page, pascal_case};

const HEAD: &str = r#""""conveyord's methods with their types, for Python 3.8 and later. Made of the registry by `make clients`.

    from conveyor import Conveyor

    with Conveyor() as client:
        client.task.create(name="greeting", goal="A greeting is written")

It needs `conveyor_transport.py` beside it, and nothing else. Words, keys and kinds may come that are not here yet: a newer
daemon may know more of them.
"""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Mapping, Optional, Sequence, Type, TypedDict, Union

import conveyor_transport as _wire
from conveyor_transport import Closed as Closed
from conveyor_transport import ConnectionLost as ConnectionLost
from conveyor_transport import NoDaemon as NoDaemon
from conveyor_transport import Subscription as Subscription
"#;

const ERRORS: &str = r#"class ConveyorError(_wire.Refusal):
    """The daemon refused a call: `kind` tells programs why, the text people, `hint` the way out where there is one."""

    def is_kind(self, *kinds: Kind) -> bool:
        """Whether it is of one of these kinds."""
        return self.kind in kinds
"#;

/// Words that cannot be names.
const RESERVED: [&str; 12] =
    ["import", "from", "pass", "raise", "return", "is", "in", "not", "global", "class", "with", "del"];

pub(super) fn write(api: &Api) -> String {
    let mut page = Page::default();
    page.put(HEAD);
    types(&mut page, api);
    errors(&mut page, api);
    for namespace in &api.namespaces {
        methods(&mut page, namespace);
    }
    client(&mut page, api);
    page.into_text()
}

/// Objects first: what has another name for them is evaluated when the module is read.
fn types(page: &mut Page, api: &Api) {
    for (name, declared) in &api.types {
        if let Shape::Object(fields) = &declared.shape {
            page.gap();
            page.gap();
            object(page, name, &declared.doc, fields);
        }
    }
    for (name, declared) in &api.types {
        if let Declared { doc, shape: Shape::Alias(of) } = declared {
            page.gap();
            page.gap();
            comment(page, doc);
            alias(page, name, of);
        }
    }
}

fn object(page: &mut Page, name: &str, doc: &str, fields: &[Field]) {
    if fields.iter().any(|field| RESERVED.contains(&field.name.as_str())) {
        comment(page, doc);
        assert!(fields.iter().all(|field| field.presence == Presence::Required), "{name}: not written yet");
        page.put(&format!("{name} = TypedDict(\n    \"{name}\",\n    {{"));
        page.within(8, |page| {
            for field in fields {
                comment(page, &field.doc);
                page.put(&format!("\"{}\": {},", field.name, written(&field.holds, Names::Quoted)));
            }
        });
        page.put("    },\n)");
        return;
    }
    let (required, optional): (Vec<&Field>, Vec<&Field>) =
        fields.iter().partition(|field| field.presence == Presence::Required);
    let bases = match (required.is_empty(), optional.is_empty()) {
        (_, true) => "TypedDict".to_owned(),
        (true, false) => "TypedDict, total=False".to_owned(),
        (false, false) => {
            page.put(&format!("class _{name}(TypedDict):"));
            page.within(4, |page| {
                docstring(page, &[&format!("What is always there of `{name}`.")]);
                keys(page, &required);
            });
            page.gap();
            page.gap();
            format!("_{name}, total=False")
        }
    };
    page.put(&format!("class {name}({bases}):"));
    page.within(4, |page| {
        docstring(page, &[doc]);
        keys(page, if optional.is_empty() { &required } else { &optional });
    });
}

fn keys(page: &mut Page, fields: &[&Field]) {
    for field in fields {
        page.gap();
        page.put(&format!("{}: {}", field.name, written(&field.holds, Names::Plain)));
        docstring(page, &[&field.doc]);
    }
}

fn alias(page: &mut Page, name: &str, of: &Type) {
    match of {
        Type::Words(words) => literal(page, name, words),
        other => page.put(&format!("{name} = {}", written(other, Names::Quoted))),
    }
}

fn literal(page: &mut Page, name: &str, words: &[Word]) {
    page.put(&format!("{name} = Literal["));
    page.within(4, |page| {
        for word in words {
            comment(page, &word.doc);
            page.put(&format!("\"{}\",", word.word));
        }
    });
    page.put("]");
}

/// How names stand in a type: what is evaluated when the module is read may name what comes later only in quotes.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    Plain,
    Quoted,
}

fn written(holds: &Type, names: Names) -> String {
    let inner = |holds: &Type| written(holds, names);
    match holds {
        Type::Any => "Any".to_owned(),
        Type::Null => "None".to_owned(),
        Type::Boolean => "bool".to_owned(),
        Type::Integer => "int".to_owned(),
        Type::Number => "float".to_owned(),
        Type::Text => "str".to_owned(),
        Type::Words(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.word)).collect();
            format!("Literal[{}]", words.join(", "))
        }
        Type::List(of) => format!("List[{}]", inner(of)),
        Type::Map(of) => format!("Dict[str, {}]", inner(of)),
        Type::Named(name) if names == Names::Quoted => format!("\"{name}\""),
        Type::Named(name) => name.clone(),
        Type::Either(of) => match &of[..] {
            [only] => inner(only),
            [only, Type::Null] => format!("Optional[{}]", inner(only)),
            several => {
                format!("Union[{}]", several.iter().map(inner).collect::<Vec<_>>().join(", "))
            }
        },
    }
}

fn errors(page: &mut Page, api: &Api) {
    page.put("\n\n# Why a call was refused.");
    literal(page, "Kind", &api.kinds);
    page.gap();
    page.put(ERRORS);
    for Class { name, code, doc } in &api.classes {
        page.put(&format!("\n\nclass {name}(ConveyorError):\n    \"\"\"{code}: {doc}\"\"\""));
    }
    page.put("\n\n_ERRORS: Mapping[int, Type[_wire.Refusal]] = {");
    page.put("    0: ConveyorError,");
    for Class { name, code, .. } in &api.classes {
        page.put(&format!("    {code}: {name},"));
    }
    page.put("}");
}

fn methods(page: &mut Page, namespace: &Namespace) {
    let name = &namespace.name;
    page.put(&format!("\n\nclass {}Methods:\n    \"\"\"`{name}.*`\"\"\"", pascal_case(name)));
    page.within(4, |page| {
        page.put(
            "\ndef __init__(self, transport: _wire.Transport) -> None:\n    self._transport = transport",
        );
        for method in &namespace.methods {
            page.gap();
            function(page, method);
        }
    });
}

fn function(page: &mut Page, method: &Method) {
    let result = match (&method.result, method.answers) {
        (result, Answers::Subscription) => format!("Subscription[{}]", written(result, Names::Plain)),
        (result, Answers::Once) => written(result, Names::Plain),
    };
    page.put(&format!("def {}(", identifier(&method.verb)));
    page.within(4, |page| {
        page.put("self,");
        if !method.params.is_empty() {
            page.put("*,");
        }
        for param in &method.params {
            page.put(&format!("{}: {},", identifier(&param.name), parameter(param)));
        }
    });
    page.put(&format!(") -> {result}:"));
    page.within(4, |page| {
        let told: Vec<String> =
            method.params.iter().map(|param| format!("{}: {}", identifier(&param.name), param.doc)).collect();
        let again = match method.answers {
            Answers::Once => method.repeat.sentence(),
            Answers::Subscription => String::new(),
        };
        docstring(page, &[&method.doc, &told.join("\n"), &again]);
        page.put("params: Dict[str, Any] = {");
        for param in &method.params {
            let value = match param.name.as_str() {
                "caller" => "_wire.caller() if caller is None else caller".to_owned(),
                name => identifier(name),
            };
            page.put(&format!("    \"{}\": {value},", param.name));
        }
        page.put("}");
        let name = &method.name;
        page.put(&match method.answers {
            Answers::Subscription => format!("return self._transport.subscribe(\"{name}\", params)"),
            Answers::Once => {
                let rule = rule(method);
                format!("result: {result} = self._transport.call(\"{name}\", params, {rule})\nreturn result")
            }
        });
    });
}

/// `None` stands for a parameter that is not given: no null says anything else.
fn parameter(param: &Field) -> String {
    if param.presence == Presence::Required {
        return written(&param.holds, Names::Plain);
    }
    let mut given = param.holds.clone();
    if let Type::Either(of) = &mut given {
        of.retain(|one| *one != Type::Null);
    }
    format!("Optional[{}] = None", written(&given, Names::Plain))
}

fn rule(method: &Method) -> String {
    let repeat = &method.repeat;
    let any = repeat.any.iter().map(|(given, name)| format!("(\"{given}\", \"{name}\"),"));
    let any = any.collect::<Vec<_>>().join(" ");
    let mut parts = vec![format!("\"{}\"", repeat.safe)];
    parts.extend((!any.is_empty()).then(|| format!("({any})")));
    parts.extend(repeat.look_at.as_ref().map(|method| format!("look_at=\"{method}\"")));
    parts.extend(method.timeout.map(|seconds| format!("timeout={seconds:?}")));
    format!("_wire.Rule({})", parts.join(", "))
}

fn client(page: &mut Page, api: &Api) {
    page.put(
        r#"

class Conveyor:
    """The daemon's methods, by namespace. It connects with the first call, and starts the daemon when none runs.

    Calls may come from several threads, and overlap. When the daemon is lost, a call is sent to the next one where that
    does nothing twice; else `ConnectionLost` names the method that shows whether it was carried out. A long wait goes on
    for the time that is left of it. `close` ends everything that is under way.

    state_root: Where the daemon's files are; by default as for `conveyorctl`.
    start: What starts a daemon that does not run; None where that is not this client's business.
    """

    def __init__(
        self,
        *,
        state_root: Optional[str] = None,
        start: Optional[Sequence[str]] = ("conveyorctl", "daemon", "start"),
    ) -> None:"#,
    );
    page.within(8, |page| {
        let hello =
            format!("{{\"client_version\": \"python {}\", \"protocol\": {}}}", api.version, api.protocol);
        page.put(&format!("transport = _wire.Transport(_ERRORS, {hello}, state_root, start)"));
        page.put("self._transport = transport");
        for Namespace { name, .. } in &api.namespaces {
            page.put(&format!("self.{} = {}Methods(transport)", identifier(name), pascal_case(name)));
        }
    });
    page.put(
        r#"
    def close(self) -> None:
        """Ends everything that is under way, in whatever thread."""
        self._transport.close()

    def __enter__(self) -> Conveyor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()"#,
    );
}

fn identifier(name: &str) -> String {
    if RESERVED.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

fn comment(page: &mut Page, doc: &str) {
    for line in page.wrapped(doc, 2) {
        page.put(&format!("# {line}"));
    }
}

/// Paragraphs with a gap between each two parts.
fn docstring(page: &mut Page, parts: &[&str]) {
    let parts = parts.iter().filter(|part| !part.is_empty());
    let parts: Vec<Vec<String>> = parts.map(|part| page.wrapped(part, 6)).collect();
    let text = parts.iter().map(|lines| lines.join("\n")).collect::<Vec<_>>().join("\n\n");
    assert!(!text.contains("\"\"\""), "{text}");
    let text = text.replace('\\', "\\\\");
    // A quote at the end would end it too soon.
    let end = if text.contains('\n') || text.ends_with('"') { "\n\"\"\"" } else { "\"\"\"" };
    if !text.is_empty() {
        page.put(&format!("\"\"\"{text}{end}"));
    }
}
