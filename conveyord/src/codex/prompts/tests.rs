use super::*;

const FACTS: ManagerFacts<'_> = ManagerFacts {
    program: "conveyorctl",
    manager: "m1",
    cwd: "/p",
    task: Some("t1"),
    goal: Some("The goal"),
    worker: Some("w1"),
    config: None,
};

fn config(tools: &[&str]) -> ManagerConfig {
    let config = serde_json::json!({
        "acceptance_criteria": [], "created_at": "", "epilogues": [], "guidelines": [],
        "nudge_on_completion": "ask-operator", "objective": null, "permissions": {}, "reference_paths": [],
        "require_acks": false, "revision": 1, "supervision_mode": "guided", "task_id": "task-1",
        "tools": tools, "updated_at": "",
    });
    serde_json::from_value(config).unwrap()
}

#[track_caller]
fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    assert!(!text.contains("{{") && !text.contains("}}"), "{text}");
}

/// Commands that every manager's prompt names.
const ALWAYS: [&str; 14] = [
    "manager-ack",
    "worker-ack",
    "session-nudge",
    "enqueue-nudge-worker",
    "dispatch --once --type nudge_worker --json",
    "manager-inbox",
    "worker-inbox",
    "criteria-plan",
    "--require-criteria-audit",
    "criteria_negotiation",
    "manager_context.acceptance_criteria",
    "affected_criterion.id",
    "edit no file of the project",
    "try to prove that it is not",
];

#[test]
fn a_manager_without_configuration_is_told_to_ask() {
    let text = manager(&FACTS, &[], &[]);
    has(&text, &ALWAYS);
    has(
        &text,
        &["m1", "The goal", "manager-config t1 --questions", "cycle t1", "manager-ack t1 --from-stdin"],
    );
    has(
        &text,
        &["worker-ack t1 --json", "session-nudge w1", "manager-inbox t1 --consume-next", "finish-task t1"],
    );
    assert!(text.len() < 8 * 1024, "{} bytes do not fit into an argument", text.len());
}

#[test]
fn a_manager_with_configuration_is_told_what_it_may() {
    let config = config(&["pytest-x"]);
    let facts = ManagerFacts { config: Some(&config), program: "conveyor", ..FACTS };
    let text = manager(&facts, &["repo.open_pr".to_owned()], &["repo.push_branch".to_owned()]);
    has(&text, &ALWAYS);
    has(
        &text,
        &["You may: repo.open_pr.", "You may not: repo.push_branch.", "pytest-x", "conveyor cycle t1"],
    );
    assert!(!text.contains("--questions") && !text.contains("conveyorctl"), "{text}");
    // With `require_acks`, a cycle before the acknowledgement is refused.
    let at = |words: &str| text.find(words).unwrap();
    assert!(at("conveyor manager-ack t1") < at("conveyor cycle t1"), "{text}");
}

#[test]
fn what_is_not_known_has_a_placeholder() {
    let facts = ManagerFacts { task: None, goal: None, worker: None, ..FACTS };
    let text = manager(&facts, &[], &[]);
    has(&text, &["Task: <unbound-task>", "Goal: none yet", "Worker: none yet", "cycle <task>"]);
}

#[test]
fn what_is_filled_in_is_taken_as_it_is() {
    let facts = ManagerFacts { task: Some("it's {{goal}}"), goal: Some("{{program}}"), ..FACTS };
    let text = manager(&facts, &[], &[]);
    assert!(text.contains(r"cycle 'it'\''s {{goal}}'") && text.contains("Goal: {{program}}"), "{text}");
}

#[test]
fn a_worker_is_told_how_to_acknowledge_after_its_task() {
    let text = pair_worker("conveyorctl", "t1", "Do it.\nWell.");
    assert!(text.starts_with("Do it.\nWell.\n"), "{text}");
    has(&text, &["conveyorctl worker-ack t1 --from-stdin", "goal_restatement", "proposed_criteria"]);
    has(&text, &["expected_tools", "open_questions", "ready_to_start"]);
}
