//! Clients that are slow, broken, greedy or of another user: the daemon serves the others meanwhile, and its
//! memory stays bounded. What each of them is answered is tested beside the daemon's server.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;

use conveyor_tests::harness::{
    Output, PATIENCE, Running, TestEnv, allow_many_files, announce, skipped, wait_until,
};
use nix::unistd::{Pid, Uid};
use serde_json::{Value, json};

const MEBIBYTE: u64 = 1024 * 1024;

fn world() -> TestEnv {
    allow_many_files();
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    env
}

fn connect(env: &TestEnv) -> UnixStream {
    let stream = UnixStream::connect(env.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A client that has sent these bytes and does nothing more.
fn sent(env: &TestEnv, bytes: &[u8]) -> UnixStream {
    let mut stream = connect(env);
    stream.write_all(bytes).unwrap();
    stream
}

fn connections(env: &TestEnv) -> u64 {
    env.daemon_status()["connections"].as_u64().unwrap()
}

/// The daemon's memory in bytes, where the system tells it in a file.
fn memory(daemon: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{daemon}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().unwrap() * 1024)
}

/// Fails when the daemon has grown by more than this many bytes since `before`.
#[track_caller]
fn check_growth(daemon: Pid, before: Option<u64>, most: u64) {
    let (Some(before), Some(now)) = (before, memory(daemon)) else {
        return announce("not looked at: the daemon's memory, which this system does not tell");
    };
    let grown = now.saturating_sub(before);
    assert!(grown < most, "the daemon grew by {} MiB", grown / MEBIBYTE);
}

fn post(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[test]
fn silent_and_half_hearted_clients_are_let_go_and_hold_up_nobody() {
    let env = world();
    let halves: [&[u8]; 6] = [
        b"",
        b" \n",
        b"{\"jsonrpc\":\"2.0\",",
        b"POST / HTTP/1.1\r\nhost:",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
        b"GET / HTTP/1.1\r\n",
    ];
    let hanging: Vec<UnixStream> = (0..200).map(|number| sent(&env, halves[number % halves.len()])).collect();
    wait_until("all of them to be connected", || (connections(&env) > 200).then_some(()));
    for _ in 0..50 {
        let _ = env.rpc().call("task.list", &json!({})).unwrap();
    }
    // The daemon ends each of these connections by itself.
    wait_until("all of them to be let go", || (connections(&env) == 1).then_some(()));
    for mut stream in hanging {
        let mut told = Vec::new();
        stream.read_to_end(&mut told).unwrap();
    }
}

#[test]
fn clients_that_never_read_hold_up_nobody_and_fill_no_memory() {
    let env = world();
    let daemon = env.daemon_pid();
    let mut subscriber = env.rpc();
    subscriber.call("events.subscribe", &json!({})).unwrap();
    let before = memory(daemon);
    // The largest answer that exists without any data, asked for as often as one connection may at once.
    let request =
        |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "rpc.discover" }).to_string() + "\n";
    let lines: String = (0..64).map(request).collect();
    let mut greedy: Vec<UnixStream> = (0..100).map(|_| sent(&env, lines.as_bytes())).collect();
    greedy.extend((0..50).map(|_| sent(&env, &post(request(1).trim()))));
    for number in 0..200 {
        let task = json!({ "name": format!("task-{number}"), "goal": "Be told to the subscriber" });
        env.rpc().call("task.create", &task).unwrap();
    }
    check_growth(daemon, before, 128 * MEBIBYTE);
    let alive = greedy.iter().filter(|stream| stream.peer_addr().is_ok()).count();
    assert_eq!(alive, greedy.len());
    // A patient client gets its whole answer, however long the others sleep.
    let mut first = &greedy[0];
    let mut answers = String::new();
    while answers.matches('\n').count() < 64 {
        let mut chunk = [0; 65536];
        let length = first.read(&mut chunk).unwrap();
        answers.push_str(&String::from_utf8_lossy(&chunk[..length]));
    }
    for line in answers.lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer["result"]["openrpc"], "1.3.2");
    }
}

#[test]
fn what_is_over_a_limit_is_refused_and_not_held() {
    let env = world();
    let daemon = env.daemon_pid();
    let mut client = env.rpc();
    let before = memory(daemon);
    client.send(&format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\"}}", "x".repeat(100 << 20)));
    let refused = client.receive();
    assert_eq!(
        refused["error"]["data"],
        json!({ "kind": "request_too_large", "limit": 16 << 20 }),
        "{refused}"
    );
    check_growth(daemon, before, 48 * MEBIBYTE);

    let request =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "task.create", "params": { "name": "x", "goal": "y" } });
    client.send(&Value::from(vec![request; 65]).to_string());
    let refused = client.receive();
    assert_eq!(refused["error"]["data"], json!({ "kind": "batch_too_long", "limit": 64 }), "{refused}");
    // The same connection goes on, and nothing of the batch was carried out.
    assert_eq!(client.call("task.list", &json!({})).unwrap(), json!([]));

    for head in ["content-length: 20000000", "transfer-encoding: chunked"] {
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{head}\r\n\r\n");
        let mut stream = sent(&env, head.as_bytes());
        if head.contains("chunked") {
            // The daemon closes while it is being sent to.
            let _ = stream.write_all(format!("{:x}\r\n{}\r\n", 20 << 20, "x".repeat(20 << 20)).as_bytes());
        }
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413");
    }
}

#[test]
fn one_connection_too_many_is_refused_until_another_ends() {
    const LIMIT: usize = 512;
    allow_many_files();
    let env = TestEnv::new();
    // The limit of open files is the one that macOS sets.
    let start = "ulimit -Sn 256 && exec conveyorctl daemon start";
    let _ = Running::start(env.command("sh").args(["-c", start])).finish().success();
    let status = json!({ "jsonrpc": "2.0", "id": 1, "method": "daemon.status" }).to_string() + "\n";
    let answer = |stream: &mut UnixStream| {
        let mut byte = [0];
        let mut line = Vec::new();
        while stream.read_exact(&mut byte).is_ok() && byte != *b"\n" {
            line.extend(byte);
        }
        serde_json::from_slice::<Value>(&line).unwrap()
    };
    let mut open: Vec<UnixStream> = Vec::new();
    // A connection of the harness may still be on its way out.
    wait_until("as many as may be to be served", || {
        let mut stream = sent(&env, status.as_bytes());
        if answer(&mut stream).get("result").is_some() {
            open.push(stream);
        }
        (open.len() == LIMIT).then_some(())
    });
    let tasks = json!({ "jsonrpc": "2.0", "id": 1, "method": "task.list", "params": {} }).to_string() + "\n";
    let mut refused = sent(&env, tasks.as_bytes());
    let told = answer(&mut refused);
    assert_eq!(told["error"]["data"], json!({ "kind": "too_many_connections", "limit": LIMIT }), "{told}");
    // The command line says the same, and no second daemon is started.
    let said = env.conveyorctl(&["tasks"]);
    assert_ne!(said.code, Some(0));
    assert!(said.stderr.contains("connections are in use"), "{}", said.stderr);
    // A client that was connected before is served all the same.
    open[0].write_all(status.as_bytes()).unwrap();
    assert_eq!(answer(&mut open[0])["result"]["running"], true);
    // Whoever administers the daemon is answered.
    let told = env.conveyorctl(&["--no-start", "daemon", "status", "--json"]).success().json();
    assert_eq!(told["running"], true, "{told}");
    open.truncate(LIMIT / 2);
    wait_until("room", || (env.conveyorctl(&["--no-start", "tasks"]).code == Some(0)).then_some(()));
    wait_until("all places to be taken again", || {
        let mut stream = sent(&env, tasks.as_bytes());
        let served = answer(&mut stream).get("result").is_some();
        open.push(stream);
        (!served).then_some(())
    });
    let _ = env.conveyorctl(&["--no-start", "daemon", "stop"]).success();
    assert!(!env.daemon_answers());
}

#[test]
fn another_users_connection_is_dropped() {
    let env = world();
    if !Uid::effective().is_root() {
        return skipped("as another user", "only root can be one");
    }
    // Everything that would keep another user away from the socket is removed, except the check of who
    // connects.
    for folder in [env.root(), &env.state_root()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(env.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let status = |user: u32| -> Option<Output> {
        let mut curl = env.command("curl");
        curl.args(["-sS", "--unix-socket", env.socket().as_str(), "-H", "content-type: application/json"]);
        curl.args(["-d", r#"{"jsonrpc":"2.0","id":1,"method":"daemon.status"}"#, "http://localhost/"]);
        let found = Running::start(env.command("sh").args(["-c", "command -v curl"])).finish();
        (found.code == Some(0)).then(|| Running::start(curl.uid(user).gid(user).current_dir("/")).finish())
    };
    let Some(stranger) = status(65534) else {
        return skipped("with curl", "it is not installed");
    };
    assert_eq!((stranger.stdout.as_str(), stranger.code == Some(0)), ("", false));
    assert_eq!(status(0).unwrap().success().json()["result"]["running"], true);
    // The connection came as far as the daemon.
    let log = fs::read_to_string(env.state_root().join("logs/conveyord.log")).unwrap();
    assert!(log.contains("dropped a connection of another user"), "{log}");
}

#[test]
fn clients_that_die_in_the_midst_leave_nothing_behind() {
    let env = world();
    let requests: Vec<Vec<u8>> = [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "events.subscribe" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "rpc.discover" }),
        json!([{ "jsonrpc": "2.0", "id": 1, "method": "task.list" }]),
    ]
    .map(|request| format!("{request}\n").into_bytes())
    .into();
    for round in 0..300 {
        let mut stream = sent(&env, &requests[round % requests.len()]);
        if round % 2 == 0 {
            let mut byte = [0];
            match stream.read_exact(&mut byte) {
                Ok(()) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            }
        }
    }
    wait_until("all of them to be gone", || (connections(&env) == 1).then_some(()));
}
