//! The README names a test for each thing that an intermediary must do: all of them exist.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of this workspace") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Where a test with this path would be: `e2e` in the workspace's tests, the others here.
fn is_there(test: &str, files: &[(String, String)]) -> bool {
    let (module, name) = test.rsplit_once("::").expect("a module and a name");
    // The last module that is no `tests` names the file or its folder.
    let file = module.rsplit("::").find(|part| *part != "tests").expect("a module");
    let is_test = format!("fn {name}(");
    files
        .iter()
        .any(|(path, text)| path.contains(&format!("/{file}")) && text.contains(&is_test))
}

#[test]
fn every_test_that_the_readme_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["src", "tests", "asker/src", "wire/src", "../tests/tests/e2e"] {
        sources(&root.join(folder), &mut paths);
    }
    let files: Vec<(String, String)> = paths
        .iter()
        .map(|path| (path.display().to_string(), fs::read_to_string(path).expect("a file")))
        .collect();
    let readme = fs::read_to_string(root.join("README.md")).expect("the README");
    let named: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|word| word.contains("::"))
        .collect();
    assert!(named.len() > 50, "{} tests", named.len());
    let missing: Vec<_> = named.iter().filter(|test| !is_there(test, &files)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
