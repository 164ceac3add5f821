//! The client for TypeScript: `docs/clients/conveyor.mts`.

use super::api::{Answers, Api, Class, Declared, Field, Method, Namespace, Presence, Shape, Type, Word};
use super::page::{Page, camel_case, pascal_case};

const HEAD: &str = r#"// conveyord's methods with their types, for Node. Made of the registry by `make clients`.
//
//     import { Conveyor } from "./conveyor.mts";
//
//     const client = new Conveyor();
//     await client.task.create({ name: "greeting", goal: "A greeting is written" });
//     client.close();
//
// It needs `conveyor-transport.mts` beside it, and nothing else. Words, keys and kinds may come that are not here yet: a
// newer daemon may know more of them.

import * as wire from "./conveyor-transport.mts";
import type { CallOptions, ClientOptions, Subscription } from "./conveyor-transport.mts";

export { Closed, ConnectionLost, NoDaemon } from "./conveyor-transport.mts";
export type { CallOptions, ClientOptions, Subscription } from "./conveyor-transport.mts";
"#;

const ERRORS: &str = r#"
/** The daemon refused a call: `kind` tells programs why, `message` people, `hint` the way out where there is one. */
export class ConveyorError extends wire.Refusal {
  /** Whether it is of one of these kinds. */
  isKind(...kinds: Kind[]): boolean {
    return (kinds as (string | undefined)[]).includes(this.kind);
  }
}
"#;

pub(super) fn write(api: &Api) -> String {
    let mut page = Page::default();
    page.put(HEAD);
    for (name, Declared { doc, shape }) in &api.types {
        page.gap();
        match shape {
            Shape::Object(fields) => interface(&mut page, name, doc, fields),
            Shape::Alias(Type::Words(words)) => union(&mut page, name, doc, words),
            Shape::Alias(of) => {
                comment(&mut page, &[doc]);
                page.put(&format!("export type {name} = {};", written(of)));
            }
        }
    }
    errors(&mut page, api);
    for namespace in &api.namespaces {
        methods(&mut page, namespace);
    }
    client(&mut page, api);
    page.into_text()
}

fn interface(page: &mut Page, name: &str, doc: &str, fields: &[Field]) {
    comment(page, &[doc]);
    page.put(&format!("export interface {name} {{"));
    page.within(2, |page| {
        for field in fields {
            comment(page, &[&field.doc]);
            let optional = if field.presence == Presence::Optional { "?" } else { "" };
            page.put(&format!("{}{optional}: {};", field.name, written(&field.holds)));
        }
    });
    page.put("}");
}

fn union(page: &mut Page, name: &str, doc: &str, words: &[Word]) {
    comment(page, &[doc]);
    page.put(&format!("export type {name} ="));
    page.within(2, |page| {
        for (at, word) in words.iter().enumerate() {
            comment(page, &[&word.doc]);
            let end = if at + 1 == words.len() { ";" } else { "" };
            page.put(&format!("| \"{}\"{end}", word.word));
        }
    });
}

fn written(holds: &Type) -> String {
    let several = |of: &[Type]| of.iter().map(written).collect::<Vec<_>>().join(" | ");
    match holds {
        Type::Any => "unknown".to_owned(),
        Type::Null => "null".to_owned(),
        Type::Boolean => "boolean".to_owned(),
        Type::Integer | Type::Number => "number".to_owned(),
        Type::Text => "string".to_owned(),
        Type::Words(words) => {
            words.iter().map(|word| format!("\"{}\"", word.word)).collect::<Vec<_>>().join(" | ")
        }
        Type::List(of) => match **of {
            Type::Either(_) | Type::Words(_) => format!("({})[]", written(of)),
            _ => format!("{}[]", written(of)),
        },
        Type::Map(of) => format!("{{ [key: string]: {} }}", written(of)),
        Type::Named(name) => name.clone(),
        Type::Either(of) => several(of),
    }
}

fn errors(page: &mut Page, api: &Api) {
    page.gap();
    union(page, "Kind", "Why a call was refused.", &api.kinds);
    page.put(ERRORS);
    for Class { name, code, doc } in &api.classes {
        page.put(&format!("\n/** {code}: {doc} */\nexport class {name} extends ConveyorError {{}}"));
    }
    page.put(
        "\nconst ERRORS: { readonly [code: number]: new (error: wire.ErrorObject) => ConveyorError } = {",
    );
    page.put("  0: ConveyorError,");
    for Class { name, code, .. } in &api.classes {
        page.put(&format!("  [{code}]: {name},"));
    }
    page.put("};");
}

fn methods(page: &mut Page, namespace: &Namespace) {
    for method in namespace.methods.iter().filter(|method| !method.params.is_empty()) {
        page.gap();
        interface(page, &params(method), &format!("Parameters of `{}`.", method.name), &method.params);
    }
    let name = &namespace.name;
    page.put(&format!("\n/** `{name}.*` */\nexport class {}Methods {{", pascal_case(name)));
    page.within(2, |page| {
        page.put("readonly #transport: wire.Transport;");
        page.gap();
        page.put("constructor(transport: wire.Transport) {\n  this.#transport = transport;\n}");
        for method in &namespace.methods {
            page.gap();
            function(page, method);
        }
    });
    page.put("}");
}

fn params(method: &Method) -> String {
    format!("{}Params", pascal_case(&method.name))
}

fn function(page: &mut Page, method: &Method) {
    let needed = method.params.iter().any(|param| param.presence == Presence::Required);
    let mut arguments = Vec::new();
    if !method.params.is_empty() {
        arguments.push(format!("params: {}{}", params(method), if needed { "" } else { " = {}" }));
    }
    let waits = method.timeout.is_some();
    arguments.extend(waits.then(|| "options?: CallOptions".to_owned()));
    let has_caller = method.params.iter().any(|param| param.name == "caller");
    let sent = match (method.params.is_empty(), has_caller) {
        (true, _) => "{}",
        (false, true) => "{ caller: wire.caller(), ...params }",
        (false, false) => "params",
    };
    let (result, name) = (written(&method.result), &method.name);
    let (result, call) = match method.answers {
        Answers::Subscription => {
            (format!("Subscription<{result}>"), format!("subscribe(\"{name}\", {sent})"))
        }
        Answers::Once => {
            let options = if waits { ", options" } else { "" };
            let call = format!("call(\"{name}\", {sent}, {}{options})", rule(method));
            (result, call)
        }
    };
    let again = match method.answers {
        Answers::Once => method.repeat.sentence(),
        Answers::Subscription => String::new(),
    };
    comment(page, &[&method.doc, &again]);
    page.put(&format!("{}({}): Promise<{result}> {{", camel_case(&method.verb), arguments.join(", ")));
    page.put(&format!("  return this.#transport.{call};\n}}"));
}

fn rule(method: &Method) -> String {
    let repeat = &method.repeat;
    let any: Vec<String> =
        repeat.any.iter().map(|(given, name)| format!("{{ {given}: \"{name}\" }}")).collect();
    let mut parts = vec![format!("safe: \"{}\"", repeat.safe)];
    parts.extend((!any.is_empty()).then(|| format!("any: [{}]", any.join(", "))));
    parts.extend(repeat.look_at.as_ref().map(|method| format!("lookAt: \"{method}\"")));
    parts.extend(method.timeout.map(|seconds| format!("timeout: {seconds}")));
    format!("{{ {} }}", parts.join(", "))
}

fn client(page: &mut Page, api: &Api) {
    page.put(
        r"
/**
 * The daemon's methods, by namespace. It connects with the first call, and starts the daemon when none runs.
 *
 * Calls may overlap. When the daemon is lost, a call is sent to the next one where that does nothing twice; else
 * `ConnectionLost` names the method that shows whether it was carried out. A long wait goes on for the time that is left of
 * it. `close` ends everything that is under way.
 */
export class Conveyor {
  readonly #transport: wire.Transport;",
    );
    page.within(2, |page| {
        for Namespace { name, .. } in &api.namespaces {
            page.put(&format!("readonly {}: {}Methods;", camel_case(name), pascal_case(name)));
        }
        page.put("\nconstructor(options: ClientOptions = {}) {");
        page.within(2, |page| {
            let hello = format!("{{ client_version: \"node {}\", protocol: {} }}", api.version, api.protocol);
            page.put(&format!("const transport = new wire.Transport(ERRORS, {hello}, options);"));
            page.put("this.#transport = transport;");
            for Namespace { name, .. } in &api.namespaces {
                page.put(&format!(
                    "this.{} = new {}Methods(transport);",
                    camel_case(name),
                    pascal_case(name)
                ));
            }
        });
        page.put(
            "}\n\n/** Ends everything that is under way. */\nclose(): void {\n  this.#transport.close();\n}",
        );
    });
    page.put("}");
}

/// Paragraphs with a gap between each two parts.
fn comment(page: &mut Page, parts: &[&str]) {
    let parts = parts.iter().filter(|part| !part.is_empty());
    let parts: Vec<Vec<String>> = parts.map(|part| page.wrapped(part, 7)).collect();
    let lines = parts.join(&String::new());
    assert!(lines.iter().all(|line| !line.contains("*/")), "{lines:?}");
    match &lines[..] {
        [] => {}
        [only] => page.put(&format!("/** {only} */")),
        several => {
            page.put("/**");
            for line in several {
                page.put(format!(" * {line}").trim_end());
            }
            page.put(" */");
        }
    }
}
