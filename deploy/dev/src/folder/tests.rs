use super::*;
use crate::progress::Quiet;

const PART: Part<'static> = Part {
    name: "thing",
    version: "1.0",
    recipe: b"",
};

fn folder() -> (tempfile::TempDir, Folder) {
    let workspace = tempfile::tempdir().expect("a temporary folder");
    let folder = Folder::within(workspace.path()).expect("a folder in it");
    (workspace, folder)
}

async fn vacancy(folder: &Folder) -> Vacancy {
    match folder.part(&PART, &Quiet).await.expect("a slot") {
        Slot::Vacant(vacancy) => vacancy,
        Slot::Installed(path) => panic!("already installed at {}", path.display()),
    }
}

#[tokio::test]
async fn an_install_that_was_not_sealed_never_counts() {
    let (_workspace, folder) = folder();
    let torn = vacancy(&folder).await;
    fs::write(torn.path().join("half"), "a").expect("a file");
    drop(torn);
    assert_eq!(
        fs::read_dir(vacancy(&folder).await.path())
            .expect("an empty draft")
            .count(),
        0
    );
}

#[tokio::test]
async fn what_a_killed_install_left_is_cleared() {
    let (_workspace, folder) = folder();
    let left = folder.path().join("parts/thing-1.0.new");
    fs::create_dir(&left).expect("a draft");
    fs::write(left.join("half"), "a").expect("a file");
    assert_eq!(
        fs::read_dir(vacancy(&folder).await.path())
            .expect("an empty draft")
            .count(),
        0
    );
}

/// Tells when someone waits for another's install.
struct Waits(tokio::sync::mpsc::UnboundedSender<()>);

impl Progress for Waits {
    fn report(&self, step: Step<'_>) {
        if matches!(step, Step::Waiting { .. }) {
            self.0.send(()).expect("the test listens");
        }
    }
}

#[tokio::test]
async fn two_that_start_at_once_install_once() {
    let (_workspace, folder) = folder();
    let first = vacancy(&folder).await;
    let (sender, mut waits) = tokio::sync::mpsc::unbounded_channel();
    let second = tokio::spawn({
        let folder = folder.clone();
        async move { folder.part(&PART, &Waits(sender)).await }
    });
    waits.recv().await.expect("the second waits");
    fs::write(first.path().join("whole"), "a").expect("a file");
    let place = first.seal().expect("sealed");
    match second.await.expect("no panic").expect("a slot") {
        Slot::Installed(path) => assert_eq!(path, place),
        Slot::Vacant(_) => panic!("installed twice"),
    }
    assert!(place.join("whole").is_file());
}

#[test]
fn another_recipe_is_another_installation() {
    let one = Part { recipe: b"a", ..PART }.directory();
    let two = Part { recipe: b"b", ..PART }.directory();
    assert_ne!(one, two);
    assert!(one.starts_with("thing-1.0-"));
}

#[test]
fn old_runs_go_and_runs_in_use_stay() {
    let (_workspace, folder) = folder();
    let in_use = folder.run("oldest").expect("a run");
    let finished = folder.run("old").expect("a run").path().to_owned();
    for _ in 0..RUNS_KEPT {
        folder.run("new").expect("a run");
    }
    assert!(in_use.path().is_dir());
    assert!(!finished.exists());
    let left = fs::read_dir(folder.path().join("runs"))
        .expect("runs")
        .filter(|e| e.as_ref().is_ok_and(|e| e.path().is_dir()));
    assert_eq!(left.count(), RUNS_KEPT);
}

#[test]
fn each_part_of_a_run_has_its_own_room_and_log() {
    let (_workspace, folder) = folder();
    let run = folder.run("test").expect("a run");
    let (one, two) = (run.room("kafka").expect("a room"), run.room("kafka").expect("a room"));
    assert_ne!(one, two);
    assert_ne!(run.log(&one), run.log(&two));
}
