use super::*;

fn shell(script: &str) -> (tempfile::TempDir, Launch) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let launch = Launch::new("script", "/bin/sh", folder.path().join("log"))
        .arg("-c")
        .arg(script);
    (folder, launch)
}

/// Whether a process with that id exists and is not a zombie.
fn lives(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| !rest.trim_start().starts_with('Z'))
    })
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_child_lives_on_when_the_thread_that_started_it_ends() {
    let (_folder, launch) = shell("sleep 600");
    let child = std::thread::spawn(move || launch.start())
        .join()
        .expect("no panic")
        .expect("started");
    assert_eq!(child.exited(Duration::from_millis(200)).await, None);
}

#[tokio::test]
async fn a_dropped_child_takes_its_whole_group_along() {
    let (folder, launch) = shell("sleep 600 & echo $! > pid; wait");
    let launch = launch.current_dir(folder.path());
    let child = launch.start().expect("started");
    let file = folder.path().join("pid");
    let read = || std::fs::read_to_string(&file).unwrap_or_default().trim().parse::<i32>();
    child
        .ready(SOON, async || read().map(drop).map_err(|e| e.to_string()))
        .await
        .expect("the grandchild runs");
    let grandchild = read().expect("its id");
    assert!(lives(grandchild));
    drop(child);
    // It is no child of ours: init reaps it, some time later.
    let deadline = Instant::now() + SOON;
    while lives(grandchild) {
        assert!(Instant::now() < deadline, "the grandchild outlived the group's end");
        sleep(LOOK).await;
    }
}

#[tokio::test]
async fn a_child_that_ends_is_not_waited_for_and_its_log_is_quoted() {
    let (_folder, launch) = shell("echo the port is taken >&2; exit 3");
    let child = launch.start().expect("started");
    let never = async || Err("no answer".to_owned());
    let error = child
        .ready(Duration::from_secs(600), never)
        .await
        .expect_err("it ended");
    assert!(
        matches!(&error, ProcessError::Ended { status, .. } if status.code() == Some(3)),
        "{error}"
    );
    assert!(error.to_string().contains("the port is taken"), "{error}");
}

#[tokio::test]
async fn a_child_that_is_not_ready_in_time_says_what_was_missing() {
    let (_folder, launch) = shell("sleep 600");
    let child = launch.start().expect("started");
    let error = child
        .ready(Duration::from_millis(50), async || Err("no answer".to_owned()))
        .await
        .expect_err("not ready");
    assert!(
        matches!(&error, ProcessError::NotReady { reason, .. } if reason == "no answer"),
        "{error}"
    );
}

#[tokio::test]
async fn a_probe_that_hangs_is_cut_off_at_the_deadline() {
    let (_folder, launch) = shell("sleep 600");
    let child = launch.start().expect("started");
    let error = child
        .ready(Duration::from_millis(50), std::future::pending)
        .await
        .expect_err("not ready");
    assert!(matches!(error, ProcessError::NotReady { .. }), "{error}");
}

#[tokio::test]
async fn stop_lets_a_child_end_cleanly() {
    let (folder, launch) = shell("trap 'exit 7' TERM; touch ready; while :; do sleep 0.01; done");
    let child = launch.current_dir(folder.path()).start().expect("started");
    let file = folder.path().join("ready");
    child
        .ready(SOON, async || {
            file.exists().then_some(()).ok_or_else(|| "no file".to_owned())
        })
        .await
        .expect("ready");
    assert_eq!(child.stop(SOON).await.code(), Some(7));
    assert!(!child.is_running());
}

#[tokio::test]
async fn stop_kills_a_child_that_does_not_end() {
    let (folder, launch) = shell("trap '' TERM; touch ready; while :; do sleep 0.01; done");
    let child = launch.current_dir(folder.path()).start().expect("started");
    let file = folder.path().join("ready");
    child
        .ready(SOON, async || {
            file.exists().then_some(()).ok_or_else(|| "no file".to_owned())
        })
        .await
        .expect("ready");
    assert_eq!(child.stop(Duration::from_millis(50)).await.signal(), Some(9));
}

#[tokio::test]
async fn a_paused_child_runs_and_can_be_killed() {
    let (_folder, launch) = shell("sleep 600");
    let child = launch.start().expect("started");
    child.pause().expect("paused");
    assert!(child.is_running());
    child.resume().expect("resumed");
    child.pause().expect("paused again");
    child.kill_hard();
    assert!(!child.is_running());
    assert!(child.pause().is_err(), "its id may be another's by now");
}

#[tokio::test]
async fn a_task_that_fails_is_an_error() {
    let (_folder, launch) = shell("exit 1");
    assert!(matches!(launch.complete(SOON).await, Err(ProcessError::Ended { .. })));
    let (_folder, launch) = shell("exit 0");
    launch.complete(SOON).await.expect("completed");
}
