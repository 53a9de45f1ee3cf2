use super::*;

fn at(second: u64) -> Timestamp {
    let start: Timestamp = "2026-08-21T11:00:00Z".parse().unwrap();
    start + std::time::Duration::from_secs(second)
}

fn termination(exit_code: i32) -> Termination {
    Termination {
        exit_code,
        signal: None,
        reason: if exit_code == 0 { "Completed" } else { "Error" },
        message: String::new(),
        started_at: at(0),
        finished_at: at(1),
        id: "process://1".to_owned(),
    }
}

fn running(ready: bool) -> ContainerState {
    let mut state = ContainerState::new();
    state.run(at(0), "process://1".to_owned(), false, !ready);
    state
}

fn ended(code: i32) -> ContainerState {
    let mut state = running(true);
    state.end(termination(code));
    state
}

fn crashing(code: i32) -> ContainerState {
    let mut state = ended(code);
    state.wait("CrashLoopBackOff", "back-off".to_owned());
    state
}

#[test]
fn the_phase_follows_the_containers_and_the_policy() {
    use RestartPolicy::{Always, Never, OnFailure};
    let check = |states: &[ContainerState], restart, is_over, expected: &str| {
        assert_eq!(phase(states, restart, is_over), expected, "{states:?} {restart:?} {is_over}");
    };
    check(&[ContainerState::new()], Always, false, "Pending");
    check(&[running(false)], Always, false, "Running");
    check(&[running(true), ContainerState::new()], Always, false, "Pending");
    check(&[crashing(1)], Always, false, "Running");
    check(&[ended(0)], Always, false, "Running");
    check(&[ended(0)], Never, false, "Succeeded");
    check(&[ended(0), ended(2)], Never, false, "Failed");
    check(&[ended(0), running(true)], Never, false, "Running");
    check(&[ended(0)], OnFailure, false, "Succeeded");
    check(&[ended(1)], OnFailure, false, "Running");
    check(&[ended(0)], Always, true, "Succeeded");
    check(&[ended(137)], Always, true, "Failed");
    check(&[ContainerState::new()], Always, true, "Succeeded");
}

#[test]
fn a_containers_life_as_its_status_tells_it() {
    let spec = PodSpec::parse(&json!({"spec": {"containers": [{"name": "web", "image": "shop:1"}]}}));
    let place = Place {
        pod_ip: Ipv4Addr::new(127, 1, 1, 1),
        host_ip: Ipv4Addr::new(127, 1, 0, 1),
        started_at: at(0),
        is_over: false,
    };
    let mut present = json!({});
    let mut state = ContainerState::new();
    let mut look = |state: &ContainerState, second, expected: Value| {
        present = pod_status(&present, &spec, std::slice::from_ref(state), place, at(second));
        let container = &present["containerStatuses"][0];
        let ready = present["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").unwrap();
        let found = json!({
            "phase": present["phase"], "ready": container["ready"], "started": container["started"],
            "restarts": container["restartCount"], "id": container["containerID"],
            "state": container["state"].as_object().unwrap().iter().map(|(kind, detail)|
                format!("{kind} {}", detail["reason"].as_str().unwrap_or_default())).collect::<String>(),
            "last": container["lastState"]["terminated"]["exitCode"],
            "Ready": ready["status"], "since": ready["lastTransitionTime"],
        });
        assert_eq!(found, expected, "at {second}");
    };
    let line =
        |phase: &str, flags: [bool; 2], restarts: u64, id: Value, state: &str, last: Value, since: u64| {
            json!({"phase": phase, "ready": flags[0], "started": flags[1], "restarts": restarts, "id": id,
            "state": state, "last": last, "Ready": if flags[0] { "True" } else { "False" },
            "since": rfc3339(at(since))})
        };
    let (none, one) = (json!(null), json!("process://1"));
    look(
        &state,
        0,
        line("Pending", [false, false], 0, none.clone(), "waiting ContainerCreating", none.clone(), 0),
    );
    state.run(at(1), "process://1".to_owned(), true, true);
    look(&state, 1, line("Running", [false, false], 0, one.clone(), "running ", none.clone(), 0));
    state.started = true;
    look(&state, 2, line("Running", [false, true], 0, one.clone(), "running ", none.clone(), 0));
    state.ready = true;
    look(&state, 3, line("Running", [true, true], 0, one.clone(), "running ", none.clone(), 3));
    look(&state, 4, line("Running", [true, true], 0, one.clone(), "running ", none, 3));
    state.end(termination(3));
    look(&state, 5, line("Running", [false, false], 0, one.clone(), "terminated Error", json!(null), 5));
    state.wait("CrashLoopBackOff", "back-off 10s".to_owned());
    look(&state, 6, line("Running", [false, false], 0, one, "waiting CrashLoopBackOff", json!(3), 5));
    state.restarts += 1;
    state.run(at(7), "process://2".to_owned(), false, false);
    look(&state, 7, line("Running", [true, true], 1, json!("process://2"), "running ", json!(3), 7));
}

#[tokio::test]
async fn the_board_wakes_for_differences_alone() {
    use futures::FutureExt as _;
    let board = Board::new(1);
    board.update(0, |_| {});
    board.update(1, |state| state.ready = true);
    assert!(board.changed().now_or_never().is_none());
    board.update(0, |state| state.restarts = 1);
    assert!(board.changed().now_or_never().is_some());
    assert!(board.changed().now_or_never().is_none());
}
