//! `rpc`: the daemon's methods as they are.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{left, row, whole};
use crate::screen::Form;
use crate::ui::Ui;
use clap::{Args, Subcommand};
use conveyor_proto::registry::{self, RpcDiscover};
use conveyor_proto::text::printable;
use conveyor_proto::types::common::Empty;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Call the daemon's methods as they are
#[derive(Debug, Args)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub(crate) struct RpcArgs {
    #[command(subcommand)]
    verb: RpcVerb,
}

#[derive(Debug, Subcommand)]
enum RpcVerb {
    Call(CallArgs),
    Methods(MethodsArgs),
    Schema(SchemaArgs),
}

/// Call a method and print its result
#[derive(Debug, Args)]
struct CallArgs {
    /// Name of the method, such as task.list
    #[arg(value_name = "METHOD")]
    method: String,
    /// Parameters as a JSON object; `-` reads them from standard input
    #[arg(value_name = "JSON", default_value = "{}")]
    params: String,
}

/// List the methods, a line each
#[derive(Debug, Args)]
struct MethodsArgs {}

/// Print the OpenRPC document of the daemon, or its part about one method
#[derive(Debug, Args)]
struct SchemaArgs {
    /// Name of the method
    #[arg(value_name = "METHOD")]
    method: Option<String>,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &RpcArgs) -> Result<(), CommandError> {
    match &args.verb {
        RpcVerb::Call(args) => call(ui, helper, args).await,
        RpcVerb::Methods(MethodsArgs {}) => methods(ui, helper).await,
        RpcVerb::Schema(args) => schema(ui, helper, args).await,
    }
}

async fn call(ui: &mut Ui, helper: &Helper, args: &CallArgs) -> Result<(), CommandError> {
    if registry::all().iter().any(|method| method.subscription && method.name == args.method) {
        return Err(CommandError::failed(
            "is_subscription",
            format!("{} streams, and is not called", args.method),
        ));
    }
    let text = match args.params.as_str() {
        "-" => String::from_utf8_lossy(&ui.read_input()?).into_owned(),
        text => text.to_owned(),
    };
    let wrong =
        |error: serde_json::Error| CommandError::usage(format!("the parameters are not JSON: {error}"));
    if !serde_json::from_str::<Value>(&text).map_err(wrong)?.is_object() {
        return Err(CommandError::usage("the parameters are no JSON object: they travel by name"));
    }
    // The parameters stay text, so that numbers reach the daemon as they were written.
    let params: Box<RawValue> = serde_json::from_str(&text).map_err(wrong)?;
    let result = helper.call_by_name(ui, &args.method, Some(params)).await?;
    ui.json(&result)
}

async fn methods(ui: &mut Ui, helper: &Helper) -> Result<(), CommandError> {
    let document = discover(ui, helper).await?;
    match ui.form() {
        Form::Scripts => {}
        Form::Json => return ui.json(&described(&document).map(in_short).collect::<Vec<_>>()),
        Form::People => {
            let rows = described(&document).map(|method| {
                let field = |key: &str| method.get(key).and_then(Value::as_str);
                row![field("name"), field("summary")]
            });
            return ui.page(|page| page.table([whole("METHOD"), left("WHAT IT DOES")], rows, "no methods"));
        }
    }
    for method in described(&document) {
        let field = |key| printable(method.get(key).and_then(Value::as_str).unwrap_or_default());
        ui.line(&format!("{}\t{}", field("name"), field("summary")))?;
    }
    Ok(())
}

/// The name of a method and what it does.
fn in_short(method: &Value) -> Value {
    json!({ "name": method["name"], "summary": method["summary"] })
}

async fn schema(ui: &mut Ui, helper: &Helper, args: &SchemaArgs) -> Result<(), CommandError> {
    let document = discover(ui, helper).await?;
    let Some(name) = &args.method else { return ui.json(&document) };
    let method = described(&document).find(|method| method.get("name").and_then(Value::as_str) == Some(name));
    let unknown = || {
        CommandError::failed("unknown_method", format!("the daemon has no method {name}"))
            .hint(format!("list them with `{} rpc methods`", helper.program()))
    };
    ui.json(method.ok_or_else(unknown)?)
}

async fn discover(ui: &mut Ui, helper: &Helper) -> Result<Value, CommandError> {
    helper.call_json::<RpcDiscover>(ui, &Empty {}).await
}

fn described(document: &Value) -> impl Iterator<Item = &Value> {
    document.get("methods").and_then(Value::as_array).into_iter().flatten()
}
