//! The questions that lead to a configuration. A manager asks them in its chat; `--interactive` asks them on
//! a terminal. Both take them from here.

use crate::{
    error::Result,
    store::tasks,
    supervision::{context, permissions},
    words::{program, shell_line},
};
use conveyor_proto::types::{
    common::TaskRef,
    manager_config::{PermissionQuestion, Question, QuestionKind, QuestionsParams, QuestionsResult},
    supervision::{Epilogue, ManagerConfig, NudgeOnCompletion, SupervisionMode},
};
use rusqlite::Connection;
use serde_json::{Map, Value, json};

/// The permissions that a terminal asks for, one by one.
const YES_OR_NO: [(&str, &str); 3] = [
    ("create_pr", "May the manager have the worker open a pull request?"),
    ("merge_green_pr", "May the manager have a green pull request merged?"),
    (
        "worker_compact_clear",
        "May the manager have the worker's context compacted or cleared, after a handoff?",
    ),
];

/// The questions about a task. Their defaults are what its configuration says.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`.
pub fn questions(connection: &Connection, params: &QuestionsParams) -> Result<QuestionsResult> {
    let task = tasks::resolve(connection, &params.task)?;
    let config = context::config(connection, &task)?;
    let command = [program(&params.caller), "manager-config", task.id.as_str(), "--interactive"];
    Ok(QuestionsResult {
        recommended_collection: "manager_codex_chat".to_owned(),
        fallback_collection: shell_line(&command),
        questions: definition(config.as_ref()),
        task: TaskRef { id: task.id, name: task.name },
    })
}

fn definition(config: Option<&ManagerConfig>) -> Vec<Question> {
    let granted =
        config.map_or_else(|| permissions::granted(&Value::Null), |config| config.permissions.clone());
    let stored = |value: fn(&ManagerConfig) -> Value, default: Value| config.map_or(default, value);
    let choices: Map<String, Value> =
        permissions::taxonomy().map(|(category, actions)| (category.to_owned(), json!(actions))).collect();
    let yes_or_no = |&(permission, question): &(&str, &str)| PermissionQuestion {
        permission: permission.to_owned(),
        question: question.to_owned(),
        default: permissions::check(config, permission).is_ok_and(|check| check.allowed),
    };
    vec![
        Question {
            choices: Some(json!([SupervisionMode::Guided, SupervisionMode::Light, SupervisionMode::Strict])),
            ..question(
                "supervision_mode",
                QuestionKind::Choice,
                "How closely should the manager supervise?",
                Some(
                    "light: loose looks at progress; guided: the usual nudges; strict: the criteria are checked again and again",
                ),
                stored(|config| json!(config.supervision_mode), json!(SupervisionMode::default())),
            )
        },
        question(
            "objective",
            QuestionKind::Text,
            "What is the worker to reach, and what is it measured by?",
            Some("an issue, a plan, a design, the goal of a branch"),
            stored(|config| json!(config.objective), Value::Null),
        ),
        question(
            "guidelines",
            QuestionKind::List,
            "Which rules bind the manager when it talks to the worker?",
            Some("keep the scope; ask before anything is deleted"),
            stored(|config| json!(config.guidelines), json!([])),
        ),
        question(
            "acceptance_criteria",
            QuestionKind::List,
            "What must hold before the task is done?",
            Some("the tests pass; the page looks like the design; the documents are in step"),
            stored(|config| json!(config.acceptance_criteria), json!([])),
        ),
        question(
            "reference_paths",
            QuestionKind::List,
            "Which files or addresses should the manager read?",
            Some("paths in the repository, addresses of issues"),
            stored(|config| json!(config.reference_paths), json!([])),
        ),
        Question {
            choices: Some(Value::Object(choices)),
            yes_or_no: YES_OR_NO.iter().map(yes_or_no).collect(),
            ..question(
                "permissions",
                QuestionKind::CategorizedPermissions,
                "What may the manager have the worker do?",
                None,
                json!(granted),
            )
        },
        question(
            "tools",
            QuestionKind::List,
            "Which programs should be there for checks?",
            Some("cargo, pytest, gh"),
            stored(|config| json!(config.tools), json!([])),
        ),
        Question {
            choices: Some(json!([
                Epilogue::DraftPr,
                Epilogue::RecordHandoff,
                Epilogue::RunTools,
                Epilogue::SubagentReview,
            ])),
            ..question(
                "epilogues",
                QuestionKind::ChoiceList,
                "Which steps must have run before the task is finished?",
                None,
                stored(|config| json!(config.epilogues), json!([])),
            )
        },
        Question {
            choices: Some(json!([
                NudgeOnCompletion::AskOperator,
                NudgeOnCompletion::AutoProceed,
                NudgeOnCompletion::AutoReview,
                NudgeOnCompletion::Off,
            ])),
            ..question(
                "nudge_on_completion",
                QuestionKind::Choice,
                "What happens when both sides have proposed how to go on?",
                None,
                stored(|config| json!(config.nudge_on_completion), json!(NudgeOnCompletion::default())),
            )
        },
        question(
            "require_acks",
            QuestionKind::Boolean,
            "Must worker and manager acknowledge the contract before cycles run?",
            Some("yes where work must not begin before both have agreed"),
            stored(|config| json!(config.require_acks), json!(false)),
        ),
    ]
}

fn question(id: &str, kind: QuestionKind, question: &str, help: Option<&str>, default: Value) -> Question {
    Question {
        id: id.to_owned(),
        kind,
        question: question.to_owned(),
        default,
        choices: None,
        help: help.map(str::to_owned),
        yes_or_no: Vec::new(),
    }
}
